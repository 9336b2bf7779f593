// Declarations: each typed add() becomes an option that checks, stores and shows texts.
#include "libs/config/schema.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <type_traits>

#include "libs/config/option.hpp"

namespace tern::config {
namespace {

const std::string& text_of(const raw& value) { return std::get<std::string>(value); }

/// Refuses lists for options that take one value.
std::function<std::string(const raw&)> for_one(std::function<std::string(const std::string&)> check) {
  return [check = std::move(check)](const raw& value) -> std::string {
    return std::holds_alternative<std::string>(value) ? check(text_of(value)) : "one value expected, not a list";
  };
}

template <class Number>
bool parse(const std::string& text, Number& out) {
  const auto end = std::from_chars(text.data(), text.data() + text.size(), out);
  return end.ec == std::errc{} && end.ptr == text.data() + text.size();
}

std::string number_type(const bounds& allowed, int64_t natural_least) {
  if (allowed.least == natural_least && allowed.most == INT64_MAX) return "integer";
  const auto least = allowed.least == INT64_MIN ? "" : std::to_string(allowed.least);
  const auto most = allowed.most == INT64_MAX ? "" : std::to_string(allowed.most);
  return "integer " + least + "…" + most;
}

std::string check_integer(const std::string& text, const bounds& allowed) {
  int64_t value = 0;
  if (!parse(text, value)) return "an integer expected, not " + quoted(text);
  if (value >= allowed.least && value <= allowed.most) return {};
  if (allowed.most == INT64_MAX) return text + " is less than " + std::to_string(allowed.least);
  if (allowed.least == INT64_MIN) return text + " is more than " + std::to_string(allowed.most);
  return text + " is not within " + std::to_string(allowed.least) + "…" + std::to_string(allowed.most);
}

std::string show_number(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  return {text, end.ptr};
}

std::string show_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const auto& item : items) out.append(out.size() > 1 ? ", " : "").append(quoted(without_passwords(item)));
  return out + "]";
}

option begin(std::string key, std::string type, std::string help) {
  option made;
  made.what.environment = environment_name(key);
  made.what.key = std::move(key);
  made.what.type = std::move(type);
  made.what.help = std::move(help);
  return made;
}

/// Everything of an integer-like option but its type name; `Stored` is int64_t, uint64_t or milliseconds.
template <class Stored>
option integer_option(option made, Stored& target, bounds allowed) {
  made.complaint = for_one([allowed](const std::string& text) { return check_integer(text, allowed); });
  made.targets.push_back([&target](const raw& value) {
    int64_t number = 0;
    parse(text_of(value), number);
    target = static_cast<Stored>(number);
  });
  made.show = [&target] {
    if constexpr (std::is_integral_v<Stored>) {
      return std::to_string(target);
    } else {
      return std::to_string(target.count());
    }
  };
  return made;
}

}  // namespace

schema::schema() : impl_(std::make_unique<impl>()) {}
schema::~schema() = default;

void schema::add(std::string key, bool& target, std::string help) {
  auto made = begin(std::move(key), "true or false", std::move(help));
  made.complaint = for_one([](const std::string& text) -> std::string {
    return text == "true" || text == "false" ? "" : "true or false expected, not " + quoted(text);
  });
  made.targets.push_back([&target](const raw& value) { target = text_of(value) == "true"; });
  made.show = [&target] { return std::string(target ? "true" : "false"); };
  impl_->declare(std::move(made));
}

void schema::add(std::string key, int64_t& target, std::string help, bounds allowed) {
  auto made = begin(std::move(key), number_type(allowed, INT64_MIN), std::move(help));
  impl_->declare(integer_option(std::move(made), target, allowed));
}

void schema::add(std::string key, uint64_t& target, std::string help, bounds allowed) {
  allowed.least = std::max<int64_t>(allowed.least, 0);
  auto made = begin(std::move(key), number_type(allowed, 0), std::move(help));
  impl_->declare(integer_option(std::move(made), target, allowed));
}

void schema::add(std::string key, std::chrono::milliseconds& target, std::string help, bounds allowed) {
  auto made = begin(std::move(key), number_type(allowed, 0), std::move(help));
  impl_->declare(integer_option(std::move(made), target, allowed));
}

void schema::add(std::string key, double& target, std::string help, double least, double most) {
  const auto range = show_number(least) + "…" + show_number(most);
  auto made = begin(std::move(key), "number " + range, std::move(help));
  made.complaint = for_one([=](const std::string& text) -> std::string {
    double value = 0;
    if (!parse(text, value) || !std::isfinite(value)) return "a number expected, not " + quoted(text);
    return value >= least && value <= most ? "" : text + " is not within " + range;
  });
  made.targets.push_back([&target](const raw& value) { parse(text_of(value), target); });
  made.show = [&target] { return show_number(target); };
  impl_->declare(std::move(made));
}

void schema::add(std::string key, std::string& target, std::string help,
                 std::function<std::string(const std::string&)> complaint) {
  auto made = begin(std::move(key), "text", std::move(help));
  made.complaint = for_one([complaint = std::move(complaint)](const std::string& text) {
    return complaint ? complaint(text) : std::string();
  });
  made.targets.push_back([&target](const raw& value) { target = text_of(value); });
  made.show = [&target] { return quoted(without_passwords(target)); };
  made.text = [&target] { return target; };
  impl_->declare(std::move(made));
}

void schema::add_choice(std::string key, std::string& target, std::vector<std::string> choices, std::string help) {
  std::string all;
  for (const auto& choice : choices) all.append(all.empty() ? "" : ", ").append(choice);
  auto made = begin(std::move(key), "one of: " + all, std::move(help));
  made.complaint = for_one([choices = std::move(choices), all](const std::string& text) -> std::string {
    const bool known = std::find(choices.begin(), choices.end(), text) != choices.end();
    return known ? "" : "one of " + all + " expected, not " + quoted(text);
  });
  made.targets.push_back([&target](const raw& value) { target = text_of(value); });
  made.show = [&target] { return quoted(target); };
  made.text = [&target] { return target; };
  impl_->declare(std::move(made));
}

void schema::add(std::string key, std::vector<std::string>& target, std::string help) {
  auto made = begin(std::move(key), "list of texts", std::move(help));
  made.list = true;
  made.complaint = [](const raw& value) -> std::string {
    return std::holds_alternative<std::vector<std::string>>(value) ? "" : "a list expected";
  };
  made.targets.push_back([&target](const raw& value) { target = std::get<std::vector<std::string>>(value); });
  made.show = [&target] { return show_list(target); };
  impl_->declare(std::move(made));
}

void schema::add_secret(std::string key, std::string& target, std::string help, bool required) {
  auto made = begin(std::move(key), "secret", std::move(help));
  made.secret = true;
  made.required = required;
  made.complaint = for_one([](const std::string& text) -> std::string { return text.empty() ? "empty" : ""; });
  made.targets.push_back([&target](const raw& value) { target = text_of(value); });
  made.show = [&target] { return std::string(target.empty() ? "\"\"" : "\"***\""); };
  made.text = [&target] { return target; };
  impl_->declare(std::move(made));
}

void schema::impl::declare(option made) {
  if (!made.secret) made.what.default_value = made.show();
  const auto known = options.find(made.what.key);
  if (known != options.end()) {
    option& old = known->second;
    if (old.what.type != made.what.type || old.what.default_value != made.what.default_value) {
      throw std::logic_error("option declared twice, differently: " + made.what.key);
    }
    old.targets.push_back(std::move(made.targets.front()));
    old.required = old.required || made.required;
    return;
  }
  const auto claim = [&](const std::string& name, const std::string& key) {
    if (!by_environment.emplace(name, key).second) throw std::logic_error("two options are " + name);
  };
  claim(made.what.environment, made.what.key);
  if (made.secret) claim(made.what.environment + "_FILE", made.what.key + "_file");
  const std::string key = made.what.key;
  options.emplace(key, std::move(made));
}

void schema::set_default(const std::string& key, const std::string& value) {
  const auto [it, by_file] = impl_->find(key);
  if (it == nullptr) throw std::logic_error("no option " + key);
  impl_->give(key, value, rank::program, "default");
  if (!by_file && !it->secret && it->from <= rank::program) it->what.default_value = it->show();
}

bool schema::declares(const std::string& key) const { return impl_->find(key).first != nullptr; }

std::optional<std::string> schema::value_of(const std::string& key) const {
  const auto it = impl_->options.find(key);
  if (it == impl_->options.end() || it->second.secret) return std::nullopt;
  return it->second.text ? it->second.text() : it->second.show();
}

std::optional<std::string> schema::secret_of(const std::string& key) const {
  const auto it = impl_->options.find(key);
  if (it == impl_->options.end() || !it->second.secret || it->second.text().empty()) return std::nullopt;
  return it->second.text();
}

}  // namespace tern::config

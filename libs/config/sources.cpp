// Values from files, environment and assignments; errors are gathered, not thrown.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "libs/config/option.hpp"
#include "libs/config/schema.hpp"
#include "libs/config/secret_file.hpp"

namespace tern::config {
namespace {

constexpr std::string_view file_suffix = "_file";

std::string place_of(const std::string& source, const YAML::Mark& mark) {
  return mark.is_null() ? source : source + ":" + std::to_string(mark.line + 1);
}

/// Walks one YAML document. Sections no option lies in are reported once and not entered, which also bounds the work
/// on a document full of aliases.
class walker {
 public:
  walker(schema::impl& into, std::string source) : into_(into), source_(std::move(source)) {}

  void walk(const YAML::Node& map, const std::string& prefix) {
    for (const auto& entry : map) {
      const auto place = place_of(source_, entry.first.Mark());
      if (!entry.first.IsScalar()) {
        into_.refuse(place, prefix.empty() ? "(top level)" : prefix, "a key must be plain text");
        continue;
      }
      const auto key = prefix.empty() ? entry.first.Scalar() : prefix + "." + entry.first.Scalar();
      visit(key, entry.second, place);
    }
  }

 private:
  void visit(const std::string& key, const YAML::Node& value, const std::string& place) {
    const auto [it, by_file] = into_.find(key);
    if (it == nullptr) {
      if (!into_.has_section(key)) return into_.unknown(place, key);
      if (value.IsMap()) return walk(value, key);
      if (!value.IsNull()) into_.refuse(place, key, "a section expected, not a value");
      return;
    }
    if (const auto [first, fresh] = seen_.emplace(key, place); !fresh) {
      return into_.refuse(place, key, "given twice, first at " + first->second);
    }
    if (it->secret && !by_file) {
      return into_.refuse(place, key, "a secret does not belong into this file: name its file by " + key + "_file");
    }
    take(key, value, place);
  }

  void take(const std::string& key, const YAML::Node& value, const std::string& place) {
    if (value.IsScalar()) return into_.give(key, value.Scalar(), rank::file, place);
    if (value.IsMap()) return into_.refuse(place, key, "a value expected, not a section");
    if (!value.IsSequence()) return into_.refuse(place, key, "has no value (an empty text is written \"\")");
    std::vector<std::string> items;
    for (const auto& item : value) {
      if (!item.IsScalar()) return into_.refuse(place, key, "a list of plain texts expected");
      items.push_back(item.Scalar());
    }
    into_.give(key, items, rank::file, place);
  }

  schema::impl& into_;
  std::string source_;
  std::map<std::string, std::string> seen_;
};

}  // namespace

std::pair<option*, bool> schema::impl::find(const std::string& key) {
  if (const auto it = options.find(key); it != options.end()) return {&it->second, false};
  if (key.ends_with(file_suffix)) {
    const auto it = options.find(key.substr(0, key.size() - file_suffix.size()));
    if (it != options.end() && it->second.secret) return {&it->second, true};
  }
  return {nullptr, false};
}

bool schema::impl::has_section(const std::string& prefix) const {
  const auto it = options.lower_bound(prefix + ".");
  return it != options.end() && it->first.starts_with(prefix + ".");
}

void schema::impl::refuse(const std::string& place, const std::string& key, const std::string& why) {
  errors.push_back(place + ": " + key + ": " + why);
}

void schema::impl::unknown(const std::string& place, const std::string& key) {
  std::vector<std::string> known;
  for (const auto& [name, it] : options) known.push_back(it.secret ? name + "_file" : name);
  const auto meant = nearest(key, known);
  refuse(place, key, meant.empty() ? "unknown option" : "unknown option; did you mean " + meant + "?");
}

void schema::impl::give(const std::string& key, const raw& value, rank from, const std::string& place) {
  const auto [it, by_file] = find(key);
  if (it == nullptr) return unknown(place, key);
  if (by_file) return give_secret_file(*it, value, from, place);
  raw effective = value;
  if (it->list && from != rank::file && std::holds_alternative<std::string>(value)) {
    effective = split_list(std::get<std::string>(value));
  }
  if (auto why = it->complaint(effective); !why.empty()) return refuse(place, key, why);
  if (from < it->from) return;
  it->from = from;
  it->filled = true;
  for (const auto& target : it->targets) target(effective);
}

void schema::impl::give_secret_file(option& it, const raw& value, rank from, const std::string& place) {
  const auto key = it.what.key + std::string(file_suffix);
  const auto* path = std::get_if<std::string>(&value);
  if (path == nullptr) return refuse(place, key, "one value expected, not a list");
  if (path->empty()) return refuse(place, key, "names no file");
  it.filled = true;  // even when it is refused: one error is enough
  auto content = read_secret_file(*path);
  if (!content) return refuse(place, key, content.error().detail);
  if (from < it.from) return;
  it.from = from;
  for (const auto& target : it.targets) target(raw{*content});
}

void schema::read_yaml(const std::string& text, const std::string& source_name) {
  try {
    const auto root = YAML::Load(text);
    if (root.IsNull()) return;
    if (!root.IsMap()) {
      impl_->errors.push_back(source_name + ": a map of options expected");
      return;
    }
    walker(*impl_, source_name).walk(root, "");
  } catch (const YAML::Exception& e) {
    impl_->errors.push_back(place_of(source_name, e.mark) + ": not valid YAML: " + e.msg);
  }
}

void schema::read_environment(char** environment) {
  for (char** entry = environment; entry != nullptr && *entry != nullptr; ++entry) {
    const char* equals = std::strchr(*entry, '=');
    if (equals == nullptr || std::strncmp(*entry, "TERN_", 5) != 0) continue;
    const std::string name(*entry, static_cast<size_t>(equals - *entry));
    const auto known = impl_->by_environment.find(name);
    if (known != impl_->by_environment.end()) {
      impl_->give(known->second, std::string(equals + 1), rank::environment, "environment " + name);
      continue;
    }
    std::vector<std::string> names;
    for (const auto& [candidate, key] : impl_->by_environment) names.push_back(candidate);
    const auto meant = nearest(name, names);
    impl_->warnings.push_back("environment " + name + " names no option" +
                              (meant.empty() ? "" : "; did you mean " + meant + "?"));
  }
}

void schema::read_assignment(const std::string& assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    impl_->errors.push_back("--set " + quoted(assignment) + ": key=value expected");
    return;
  }
  const auto key = assignment.substr(0, equals);
  const auto [it, by_file] = impl_->find(key);
  if (it != nullptr && it->secret && !by_file) {
    return impl_->refuse("--set", key, "a secret is never taken from a flag: name its file by " + key + "_file");
  }
  impl_->give(key, assignment.substr(equals + 1), rank::assignment, "--set");
}

std::vector<std::string> schema::errors() const {
  auto all = impl_->errors;
  for (const auto& [key, it] : impl_->options) {
    if (it.required && !it.filled) {
      all.push_back(key + ": required: name its file by " + key + "_file, or set " + it.what.environment);
    }
  }
  return all;
}

std::vector<std::string> schema::warnings() const { return impl_->warnings; }

}  // namespace tern::config

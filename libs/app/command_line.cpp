#include "libs/app/command_line.hpp"

#include <algorithm>
#include <optional>

#include "libs/app/version.hpp"
#include "libs/config/schema.hpp"

namespace tern::app {
namespace {

/// Walks the arguments; flags may be written "--flag value" and "--flag=value".
class scanner {
 public:
  explicit scanner(const std::vector<std::string>& arguments) : arguments_(arguments) {}
  bool next() {
    if (at_ >= arguments_.size()) return false;
    const std::string& text = arguments_[at_++];
    const auto equals = text.starts_with("--") ? text.find('=') : std::string::npos;
    flag_ = text.substr(0, equals);
    attached_ = equals == std::string::npos ? std::nullopt : std::optional{text.substr(equals + 1)};
    return true;
  }
  const std::string& flag() const { return flag_; }
  bool has_attached() const { return attached_.has_value(); }
  std::string attached() const { return attached_.value_or(""); }
  result<std::string> value() {
    if (attached_) return *attached_;
    if (at_ >= arguments_.size()) return error{errc::config, flag_ + " needs a value"};
    return arguments_[at_++];
  }

 private:
  const std::vector<std::string>& arguments_;
  size_t at_ = 0;
  std::string flag_;
  std::optional<std::string> attached_;
};

error unknown_flag(const std::string& flag, const program& what) {
  std::string known = "--config, --set, --print-config, --config-reference, --health, --help, --version";
  for (const auto& alias : what.flags) known += ", --" + alias.flag;
  return {errc::config, "unknown argument " + flag + " (there are " + known + ")"};
}

/// Flags that take a value. Nothing when `flag` is none of them.
std::optional<result<void>> take_valued(scanner& from, const program& what, command_line& into) {
  const std::string flag = from.flag();
  const auto alias = std::find_if(what.flags.begin(), what.flags.end(),
                                  [&](const flag_alias& each) { return "--" + each.flag == flag; });
  if (flag != "--config" && flag != "--set" && alias == what.flags.end()) return std::nullopt;
  auto value = from.value();
  if (!value) return result<void>{value.error()};
  if (flag == "--config") {
    into.files.push_back(*value);
  } else if (flag == "--set") {
    into.assignments.push_back(*value);
  } else {
    into.assignments.push_back(alias->key + "=" + *value);
  }
  return result<void>{};
}

std::string padded(std::string text, size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

std::string flag_lines(const program& what) {
  constexpr size_t width = 26;
  std::string out;
  const auto line = [&](const std::string& flag, const std::string& help) {
    out += "  " + padded(flag, width) + help + "\n";
  };
  for (const auto& alias : what.flags)
    line("--" + alias.flag + " " + alias.value, alias.help + " (" + alias.key + ")");
  line("--config FILE", "YAML file with options; may be repeated, later ones win");
  line("--set KEY=VALUE", "one option; may be repeated");
  line("--print-config", "show the effective options as YAML and end");
  line("--config-reference", "describe all options as Markdown and end");
  line("--health", "ask the process that runs with these options whether it is ready; code 0: it is");
  line("--version", "version, commit and build type");
  line("--help", "this text");
  return out;
}

}  // namespace

result<command_line> parse_command_line(const std::vector<std::string>& arguments, const program& what) {
  command_line out;
  scanner from(arguments);
  while (from.next()) {
    if (auto taken = take_valued(from, what, out)) {
      if (!*taken) return taken->error();
      continue;
    }
    const std::string& flag = from.flag();
    const bool reference = flag == "--config-reference";
    if (from.has_attached() && !reference) return unknown_flag(flag + "=" + from.attached(), what);
    if (flag == "--help" || flag == "-h") {
      out.what = action::help;
    } else if (flag == "--version") {
      out.what = action::version;
    } else if (flag == "--print-config") {
      out.what = action::print_config;
    } else if (flag == "--health") {
      out.what = action::health;
    } else if (reference) {
      out.what = action::reference;
      if (from.has_attached()) out.reference_part = from.attached();
    } else {
      return unknown_flag(flag, what);
    }
  }
  return out;
}

std::string help_text(const program& what, const config::schema& all) {
  std::string out =
      what.name + " " + std::string(version()) + ": " + what.summary + "\n\nUsage: " + what.name +
      " [flags]\n\nFlags:\n" + flag_lines(what) +
      "\nOptions, each with its type and [default]. They are set, the weaker first, in a file (--config), by\n"
      "environment variables (TERN_ and the key in capitals, dots as underscores) and by --set:\n";
  std::string section;
  for (const auto& it : all.describe()) {
    if (const auto head = it.key.substr(0, it.key.find('.')); head != section) {
      section = head;
      out += "\n" + section + "\n";
    }
    const bool secret = it.type == "secret";
    out += "  " + padded(it.key + (secret ? "_file" : ""), 40) + (secret ? "file with a secret" : it.type);
    if (!secret) out += " [" + it.default_value + "]";
    out += "\n      " + it.help + "\n";
  }
  return out;
}

}  // namespace tern::app

#include "tools/ctl/arguments.hpp"

#include <algorithm>
#include <cstdlib>

#include "tools/ctl/text.hpp"

namespace tern::ctl {
namespace {

error unknown(const std::string& name, const std::vector<flag>& known) {
  std::vector<std::string> names{"--help", "--version"};
  for (const auto& each : known) names.push_back(each.name);
  const auto meant = nearest(name, names);
  return {errc::bad_parameter,
          "unknown flag " + name + (meant.empty() ? "; see --help" : "; did you mean " + meant + "?")};
}

}  // namespace

std::string arguments::value(const std::string& name, const std::string& otherwise) const {
  const auto found = flags.find(name);
  return found == flags.end() ? otherwise : found->second;
}

result<arguments> parse(const std::vector<std::string>& texts, const std::vector<flag>& known) {
  arguments out;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto& text = texts[i];
    if (!text.starts_with("-") || text == "-") {
      out.words.push_back(text);
      continue;
    }
    const auto equals = text.find('=');
    auto name = text.substr(0, equals);
    if (name == "-h") name = "--help";
    const bool plain = name == "--help" || name == "--version";
    const auto found = std::find_if(known.begin(), known.end(), [&](const flag& each) { return each.name == name; });
    if (found == known.end() && !plain) return unknown(name, known);
    const bool valued = !plain && !found->value.empty();
    if (!valued && equals != std::string::npos) return error{errc::bad_parameter, name + " takes no value"};
    if (valued && equals == std::string::npos && i + 1 == texts.size()) {
      return error{errc::bad_parameter, name + " needs a value: " + name + " " + found->value};
    }
    out.flags[name] = !valued ? "" : equals != std::string::npos ? text.substr(equals + 1) : texts[++i];
  }
  return out;
}

result<int64_t> parse_milliseconds(const std::string& text) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  const double factor = unit == "ms" ? 1 : unit.empty() || unit == "s" ? 1000 : unit == "m" ? 60'000 : 0;
  const double value = number * factor;
  if (end == text.c_str() || !(value > 0 && value <= 86'400'000)) {
    return error{errc::bad_parameter, "'" + text + "' is not a time; e.g. 500ms, 2s, 1m"};
  }
  return static_cast<int64_t>(value);
}

}  // namespace tern::ctl

// Words of a command line, taken apart by a table of flags.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::ctl {

/// "--kind KIND" or, without `value`, "--json".
struct flag {
  std::string name;   // with dashes
  std::string value;  // what --help calls it; empty: the flag has none
  std::string help;
};

struct arguments {
  std::vector<std::string> words;            // what is no flag, in order
  std::map<std::string, std::string> flags;  // "--kind" -> its value; the last one counts
  bool has(const std::string& name) const { return flags.contains(name); }
  std::string value(const std::string& name, const std::string& otherwise = {}) const;
};

/// Flags may stand anywhere; "--flag value" and "--flag=value". errc::bad_parameter names what was not understood and
/// what may have been meant.
result<arguments> parse(const std::vector<std::string>& texts, const std::vector<flag>& known);

/// "2s", "500ms", "1m", "30" (seconds). errc::bad_parameter.
result<int64_t> parse_milliseconds(const std::string& text);

}  // namespace tern::ctl

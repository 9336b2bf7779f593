// Typed options. A service declares each option once (key, target, help, bounds); files, environment and flags fill
// them; all errors are reported at once; docs/configuration.md is written from the declarations.
//
// Order of precedence: default < YAML file (--config) < environment (TERN_GATEWAY_LISTEN_ADDRESS) < --set key=value.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::config {

/// Bounds of a number; both inclusive.
struct bounds {
  int64_t least = INT64_MIN;
  int64_t most = INT64_MAX;
};

/// Collects declarations, then fills their targets. Keys read `<service>.<area>.<name>` with the unit in the name.
class schema {
 public:
  schema();
  ~schema();
  schema(const schema&) = delete;
  schema& operator=(const schema&) = delete;

  void add(std::string key, bool& target, std::string help);
  void add(std::string key, int64_t& target, std::string help, bounds allowed = {});
  void add(std::string key, uint64_t& target, std::string help, bounds allowed = {0, INT64_MAX});
  void add(std::string key, double& target, std::string help, double least, double most);
  void add(std::string key, std::string& target, std::string help,
           std::function<std::string(const std::string&)> complaint = {});
  void add(std::string key, std::vector<std::string>& target, std::string help);
  /// One of a closed set.
  void add_choice(std::string key, std::string& target, std::vector<std::string> choices, std::string help);
  /// A duration in milliseconds; the key ends in _ms.
  void add(std::string key, std::chrono::milliseconds& target, std::string help, bounds allowed = {0, INT64_MAX});
  /// A secret: `<key>_file` names a file (mode 0600 or stricter, else refused) holding it, trailing newline removed;
  /// never printed, never taken from a flag; TERN_… environment allowed.
  void add_secret(std::string key, std::string& target, std::string help, bool required);

  /// Reads YAML text; unknown or duplicate keys and type errors are collected.
  void read_yaml(const std::string& text, const std::string& source_name);
  void read_environment(char** environment);
  /// "key=value".
  void read_assignment(const std::string& assignment);
  /// One line per error, each naming its key; empty when all is well. Checks required secrets.
  std::vector<std::string> errors() const;
  /// Markdown table of all declared options: key, type and unit, default, help.
  std::string reference() const;
  /// The effective values as YAML, secrets shown as "***".
  std::string dump() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace tern::config

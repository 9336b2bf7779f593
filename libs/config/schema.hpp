// Typed options. A service declares each option once (key, target, help, bounds); files, environment and flags fill
// them; all errors are reported at once; docs/configuration.md is written from the declarations.
//
// Order of precedence: default < YAML file (--config) < environment (TERN_GATEWAY_LISTEN_ADDRESS) < --set key=value.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::config {

/// Bounds of a number; both inclusive.
struct bounds {
  int64_t least = INT64_MIN;
  int64_t most = INT64_MAX;
};

/// One declared option, for help texts and the reference page.
struct description {
  std::string key;
  std::string type;           // "text", "integer 1…65535", "one of: debug, info", "list of texts", "secret"
  std::string default_value;  // as it would be written in the file; empty for secrets
  std::string help;
  std::string environment;  // TERN_…
};

/// Collects declarations, then fills their targets. Keys read `<service>.<area>.<name>` with the unit in the name.
///
/// Several services of one process may declare the same key, if type and default agree: all targets are filled,
/// and the first help stays.
/// Whatever the order of the read_… calls, the stronger source wins. Not thread-safe; targets must outlive it.
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

  /// Another default than the declared one, e.g. from the program or its data directory; below every other source.
  /// A secret takes its file: set_default("x_file", path). A refused value is among errors(); an unknown key is a bug
  /// and throws std::logic_error.
  void set_default(const std::string& key, const std::string& value);
  bool declares(const std::string& key) const;
  /// The effective value as text, unquoted; nothing for unknown keys and secrets.
  std::optional<std::string> value_of(const std::string& key) const;
  /// A secret that has been given, for those who use it; nothing for other options.
  std::optional<std::string> secret_of(const std::string& key) const;

  /// Reads YAML text; nested maps and dotted keys mean the same; unknown or duplicate keys and type errors are
  /// collected.
  void read_yaml(const std::string& text, const std::string& source_name);
  /// Variables that name no option are only warned of: Kubernetes and others invent TERN_… names of their own.
  /// Lists are separated by commas (a backslash before a comma keeps it) here and in assignments.
  void read_environment(char** environment);
  /// "key=value".
  void read_assignment(const std::string& assignment);
  /// One line per error, each naming its key; empty when all is well. Checks required secrets.
  std::vector<std::string> errors() const;
  std::vector<std::string> warnings() const;
  std::vector<description> describe() const;
  /// Markdown table of all declared options: key, type and unit, default, help.
  std::string reference() const;
  /// The effective values as YAML, secrets and passwords inside of texts shown as "***".
  std::string dump() const;

  struct impl;  // libs/config/option.hpp

 private:
  std::unique_ptr<impl> impl_;
};

}  // namespace tern::config

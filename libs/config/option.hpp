// Inside of libs/config: one declared option and the value types it may have.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "libs/config/masking.hpp"
#include "libs/config/schema.hpp"

namespace tern::config {

/// Where a value came from; a stronger source wins over a weaker one.
enum class rank : uint8_t { declared, program, file, environment, assignment };

/// A value as it was given: text, or a list of texts.
using raw = std::variant<std::string, std::vector<std::string>>;

struct option {
  description what;
  bool list = false;
  bool secret = false;
  bool required = false;
  bool filled = false;  // a secret has been given
  rank from = rank::declared;
  /// What is wrong with the value, empty if nothing.
  std::function<std::string(const raw&)> complaint;
  /// Stores a value without complaint, one per declaration of the key.
  std::vector<std::function<void(const raw&)>> targets;
  /// The first target as it would be written in the file.
  std::function<std::string()> show;
  /// The same without quotes, for texts.
  std::function<std::string()> text;
};

struct schema::impl {
  std::map<std::string, option> options;
  std::map<std::string, std::string> by_environment;  // TERN_… -> key or key_file
  std::vector<std::string> errors;
  std::vector<std::string> warnings;

  void declare(option made);
  /// The option and whether `key` is the _file form of a secret; nullptr when there is none.
  std::pair<option*, bool> find(const std::string& key);
  /// Stores the value or notes an error that begins with `place`.
  void give(const std::string& key, const raw& value, rank from, const std::string& place);
  void give_secret_file(option& it, const raw& value, rank from, const std::string& place);
  void refuse(const std::string& place, const std::string& key, const std::string& why);
  void unknown(const std::string& place, const std::string& key);
  /// True when some declared key begins with `prefix` + ".".
  bool has_section(const std::string& prefix) const;
};

std::string quoted(const std::string& text);
/// TERN_GATEWAY_LISTEN_ADDRESS of gateway.listen.address.
std::string environment_name(const std::string& key);
/// The declared key most like `key`; empty when none is near enough to be meant.
std::string nearest(const std::string& key, const std::vector<std::string>& known);
/// Splits at commas; a backslash before a comma keeps it.
std::vector<std::string> split_list(const std::string& text);

}  // namespace tern::config

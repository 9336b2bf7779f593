// The few Redis commands that logins use. What they keep may vanish at any time.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "libs/base/result.hpp"

namespace tern::storage {

/// Thread-safe; calls block for at most some hundred milliseconds. unavailable when the server does not answer.
class soft_store {
 public:
  virtual ~soft_store() = default;
  virtual result<void> set_ex(const std::string& key, const std::string& value, std::chrono::seconds life) = 0;
  /// Reads and deletes; nothing when the key is not there.
  virtual result<std::optional<std::string>> getdel(const std::string& key) = 0;
  /// Adds one and returns the sum; the key lives for `life` from its first use.
  virtual result<int64_t> incr_expire(const std::string& key, std::chrono::seconds life) = 0;
};

}  // namespace tern::storage

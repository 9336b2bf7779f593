// Key-encryption keys: what the data keys of all shards are wrapped by. They are never stored by us.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::storage {

/// Thread-safe. The first one wraps; all of them unwrap.
class master_keys {
 public:
  /// At least one secret of 32 characters or more, e.g. 64 random hexadecimal digits; errc::config otherwise.
  static result<std::shared_ptr<const master_keys>> make(const std::vector<std::string>& secrets);

  /// Tells key-encryption keys apart; says nothing about the key.
  uint64_t current() const noexcept { return keys_.front().id; }
  bool knows(uint64_t kek) const noexcept { return find(kek) != nullptr; }
  /// The data key `key` (32 bytes) under the current key, bound to its id: nonce, ciphertext, tag (60 bytes).
  std::string wrap(uint64_t key_id, std::string_view key) const;
  /// errc::config: wrapped by another key, under another id, or changed.
  result<std::string> unwrap(uint64_t kek, uint64_t key_id, std::string_view wrapped) const;

 private:
  struct master {
    uint64_t id = 0;
    std::string key;
  };
  master_keys() = default;
  const master* find(uint64_t kek) const noexcept;
  std::vector<master> keys_;
};

/// As logs and errors name a key: 16 hexadecimal digits.
std::string key_label(uint64_t id);

}  // namespace tern::storage

// Remembers for a short time that a password was right, so that a client that reconnects does not cost an argon2
// hash.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>

#include "libs/base/clock.hpp"
#include "services/storage/logic/lru.hpp"

namespace tern::storage {

/// Thread-safe. Holds HMAC-SHA-256(process key, stored hash, password): neither the password nor anything that could
/// be tried off line without this process's memory. A changed password has another stored hash, so its proof is void.
class proof_cache {
 public:
  proof_cache(const clock& time, std::chrono::milliseconds life, size_t most);
  void put(const std::string& name_key, std::string_view stored_hash, std::string_view password);
  bool proves(const std::string& name_key, std::string_view stored_hash, std::string_view password);

 private:
  struct proof {
    std::string mac;
    clock::time_point until;
  };
  std::string mac(std::string_view stored_hash, std::string_view password) const;

  const clock& time_;
  const std::chrono::milliseconds life_;
  std::string key_;
  std::mutex mutex_;
  lru_map<std::string, proof> proofs_;
};

}  // namespace tern::storage

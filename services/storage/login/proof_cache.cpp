#include "services/storage/login/proof_cache.hpp"

#include <utility>

#include "libs/crypto/hash.hpp"
#include "libs/crypto/random.hpp"

namespace tern::storage {

proof_cache::proof_cache(const clock& time, std::chrono::milliseconds life, size_t most)
    : time_(time), life_(life), key_(crypto::sha256_size, '\0'), proofs_(most) {
  crypto::random_bytes(key_.data(), key_.size());
}

std::string proof_cache::mac(std::string_view stored_hash, std::string_view password) const {
  std::string text(stored_hash);
  text += '\0';  // never in a PHC string
  text += password;
  return crypto::hmac_sha256(key_, text);
}

void proof_cache::put(const std::string& name_key, std::string_view stored_hash, std::string_view password) {
  if (life_.count() == 0) return;
  proof made{mac(stored_hash, password), time_.now() + life_};
  const std::lock_guard guard(mutex_);
  proofs_.put(name_key, std::move(made));
}

bool proof_cache::proves(const std::string& name_key, std::string_view stored_hash, std::string_view password) {
  const auto shown = mac(stored_hash, password);
  const std::lock_guard guard(mutex_);
  const auto* known = proofs_.find(name_key);
  if (known == nullptr) return false;
  if (known->until <= time_.now()) {
    proofs_.erase(name_key);
    return false;
  }
  return crypto::equal_constant_time(known->mac, shown);
}

}  // namespace tern::storage

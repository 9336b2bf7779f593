#include "services/storage/repositories/sealing/master_keys.hpp"

#include <algorithm>
#include <cstdio>

#include "libs/base/big_endian.hpp"
#include "libs/crypto/aead.hpp"
#include "libs/crypto/hash.hpp"
#include "libs/crypto/random.hpp"

namespace tern::storage {
namespace {

using crypto::aes_gcm;

constexpr size_t least_secret = 32;

std::string bound_to(uint64_t key_id) {
  std::string associated = "tern data key ";
  append_u64(associated, key_id);
  return associated;
}

}  // namespace

result<std::shared_ptr<const master_keys>> master_keys::make(const std::vector<std::string>& secrets) {
  if (secrets.empty()) return error{errc::config, "a key-encryption key is needed"};
  auto made = std::shared_ptr<master_keys>(new master_keys);
  for (const auto& secret : secrets) {
    if (secret.size() < least_secret) {
      return error{errc::config,
                   "a key-encryption key must have 32 characters at least, better 64 random hex digits"};
    }
    const auto id = read_u64(crypto::hmac_sha256(secret, "tern key-encryption key: name").data());
    if (made->knows(id)) continue;
    made->keys_.push_back({id, crypto::hmac_sha256(secret, "tern key-encryption key: key")});
  }
  return std::shared_ptr<const master_keys>(std::move(made));
}

const master_keys::master* master_keys::find(uint64_t kek) const noexcept {
  const auto at = std::find_if(keys_.begin(), keys_.end(), [&](const master& one) { return one.id == kek; });
  return at == keys_.end() ? nullptr : &*at;
}

std::string master_keys::wrap(uint64_t key_id, std::string_view key) const {
  std::string out(aes_gcm::nonce_size + key.size() + aes_gcm::tag_size, '\0');
  crypto::random_bytes(out.data(), aes_gcm::nonce_size);
  aes_gcm(keys_.front().key).seal(out.data(), bound_to(key_id), key, out.data() + aes_gcm::nonce_size);
  return out;
}

result<std::string> master_keys::unwrap(uint64_t kek, uint64_t key_id, std::string_view wrapped) const {
  const auto* with = find(kek);
  if (with == nullptr) {
    return error{errc::config, "data key " + key_label(key_id) + " is wrapped by key-encryption key " +
                                   key_label(kek) +
                                   ", which is not among the files given (storage.encryption.key_file,"
                                   " storage.encryption.other_key_files)"};
  }
  const error changed{errc::config, "data key " + key_label(key_id) + " cannot be unwrapped: its row was changed"};
  if (wrapped.size() != aes_gcm::nonce_size + aes_gcm::key_size + aes_gcm::tag_size) return changed;
  std::string key(aes_gcm::key_size, '\0');
  const auto sealed = wrapped.substr(aes_gcm::nonce_size);
  if (!aes_gcm(with->key).open(wrapped.data(), bound_to(key_id), sealed, key.data())) return changed;
  return key;
}

std::string key_label(uint64_t id) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(id));
  return text;
}

}  // namespace tern::storage

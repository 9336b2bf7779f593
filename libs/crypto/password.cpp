#include "libs/crypto/password.hpp"

#include <argon2.h>

#include <array>

#include "libs/crypto/random.hpp"

namespace tern::crypto {
namespace {

constexpr size_t salt_bytes = 16;
constexpr size_t hash_bytes = 32;

}  // namespace

std::string hash_password(std::string_view password, const password_cost& cost) {
  std::array<uint8_t, salt_bytes> salt{};
  random_bytes(salt.data(), salt.size());
  std::string text(argon2_encodedlen(cost.passes, cost.memory_kib, cost.lanes, salt_bytes, hash_bytes, Argon2_id),
                   '\0');
  const int code = argon2id_hash_encoded(cost.passes, cost.memory_kib, cost.lanes, password.data(), password.size(),
                                         salt.data(), salt.size(), hash_bytes, text.data(), text.size());
  if (code != ARGON2_OK) return {};
  text.resize(text.find('\0'));  // the length above counts the terminator
  return text;
}

bool verify_password(std::string_view phc, std::string_view password) {
  const std::string terminated(phc);
  return argon2id_verify(terminated.c_str(), password.data(), password.size()) == ARGON2_OK;
}

}  // namespace tern::crypto

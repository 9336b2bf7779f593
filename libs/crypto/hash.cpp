#include "libs/crypto/hash.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <climits>
#include <cstdlib>

namespace tern::crypto {
namespace {

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

}  // namespace

std::string sha256(std::string_view data) {
  std::string digest(sha256_size, '\0');
  SHA256(bytes(data), data.size(), bytes(digest));
  return digest;
}

std::string hmac_sha256(std::string_view key, std::string_view data) {
  // OpenSSL takes the key's length as int and reads a null key as "the former key".
  if (key.size() > INT_MAX) std::abort();
  const char* key_data = key.empty() ? "" : key.data();
  std::string digest(sha256_size, '\0');
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), key_data, static_cast<int>(key.size()), bytes(data), data.size(), bytes(digest), &size) ==
          nullptr ||
      size != sha256_size) {
    std::abort();  // only without memory: no caller could go on safely with a wrong digest
  }
  return digest;
}

bool equal_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

}  // namespace tern::crypto

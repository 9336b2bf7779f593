#include "libs/crypto/aead.hpp"

#include <openssl/evp.h>

#include <climits>
#include <cstdlib>
#include <cstring>

namespace tern::crypto {
namespace {

struct context_free {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using context_ptr = std::unique_ptr<EVP_CIPHER_CTX, context_free>;

const unsigned char* bytes(const char* at) { return reinterpret_cast<const unsigned char*>(at); }
unsigned char* bytes(char* at) { return reinterpret_cast<unsigned char*>(at); }

/// Only without memory, or when the caller broke the contract: nothing safe could follow.
void must(bool good) {
  if (!good) std::abort();
}

int length(std::string_view data) {
  must(data.size() <= INT_MAX);
  return static_cast<int>(data.size());
}

}  // namespace

struct aes_gcm::contexts {
  context_ptr sealing{EVP_CIPHER_CTX_new()}, opening{EVP_CIPHER_CTX_new()};
};

aes_gcm::aes_gcm(std::string_view key) : contexts_(std::make_unique<contexts>()) {
  must(key.size() == key_size && contexts_->sealing && contexts_->opening);
  must(EVP_EncryptInit_ex(contexts_->sealing.get(), EVP_aes_256_gcm(), nullptr, bytes(key.data()), nullptr) == 1);
  must(EVP_DecryptInit_ex(contexts_->opening.get(), EVP_aes_256_gcm(), nullptr, bytes(key.data()), nullptr) == 1);
}

aes_gcm::~aes_gcm() = default;

void aes_gcm::seal(const char* nonce, std::string_view associated, std::string_view plain, char* out) {
  auto* context = contexts_->sealing.get();
  int written = 0;
  must(EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, bytes(nonce)) == 1);
  must(EVP_EncryptUpdate(context, nullptr, &written, bytes(associated.data()), length(associated)) == 1);
  if (!plain.empty()) {
    must(EVP_EncryptUpdate(context, bytes(out), &written, bytes(plain.data()), length(plain)) == 1);
  }
  char* const tag = out + plain.size();
  must(EVP_EncryptFinal_ex(context, bytes(tag), &written) == 1);
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, tag_size, tag) == 1);
}

bool aes_gcm::open(const char* nonce, std::string_view associated, std::string_view sealed, char* out) {
  if (sealed.size() < tag_size || sealed.size() > INT_MAX) return false;
  const auto hidden = sealed.substr(0, sealed.size() - tag_size);
  char tag[tag_size];
  std::memcpy(tag, sealed.data() + hidden.size(), tag_size);
  auto* context = contexts_->opening.get();
  int written = 0;
  must(EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, bytes(nonce)) == 1);
  must(EVP_DecryptUpdate(context, nullptr, &written, bytes(associated.data()), length(associated)) == 1);
  if (!hidden.empty()) {
    must(EVP_DecryptUpdate(context, bytes(out), &written, bytes(hidden.data()), length(hidden)) == 1);
  }
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, tag_size, tag) == 1);
  unsigned char rest[tag_size];
  return EVP_DecryptFinal_ex(context, rest, &written) == 1;
}

}  // namespace tern::crypto

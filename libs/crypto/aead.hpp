// AES-256-GCM (NIST SP 800-38D) with contexts that are kept: the key schedule is made once.
#pragma once

#include <memory>
#include <string_view>

namespace tern::crypto {

/// One key. Used by one thread at a time. The caller never uses a nonce twice with a key.
class aes_gcm {
 public:
  static constexpr size_t key_size = 32;
  static constexpr size_t nonce_size = 12;
  static constexpr size_t tag_size = 16;

  /// `key`: 32 bytes; anything else ends the process, as a cipher that fails does.
  explicit aes_gcm(std::string_view key);
  ~aes_gcm();
  aes_gcm(const aes_gcm&) = delete;
  aes_gcm& operator=(const aes_gcm&) = delete;

  /// Writes plain.size() bytes of ciphertext and the tag to `out`. `nonce`: 12 bytes.
  void seal(const char* nonce, std::string_view associated, std::string_view plain, char* out);
  /// `sealed`: ciphertext and tag. Writes the plain bytes, sealed.size() - 16, to `out`, which may be where `sealed`
  /// begins. False: not sealed so with this key; what `out` has then must not be used.
  [[nodiscard]] bool open(const char* nonce, std::string_view associated, std::string_view sealed, char* out);

 private:
  struct contexts;
  std::unique_ptr<contexts> contexts_;
};

}  // namespace tern::crypto

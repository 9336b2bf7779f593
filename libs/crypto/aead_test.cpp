#include "libs/crypto/aead.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tern::crypto {
namespace {

std::string from_hex(std::string_view text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return out;
}

std::string seal(aes_gcm& with, const std::string& nonce, std::string_view associated, std::string_view plain) {
  std::string out(plain.size() + aes_gcm::tag_size, '\0');
  with.seal(nonce.data(), associated, plain, out.data());
  return out;
}

// The GCM specification of McGrew and Viega, test case 16.
const std::string key = from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
const std::string nonce = from_hex("cafebabefacedbaddecaf888");
const std::string associated = from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
const std::string plain = from_hex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
    "b16aedf5aa0de657ba637b39");
const std::string sealed = from_hex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
    "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");

TEST(aes_gcm, seals_as_the_specification_says) {
  aes_gcm cipher(key);
  for (int again = 0; again < 2; ++again) EXPECT_EQ(seal(cipher, nonce, associated, plain), sealed);
}

TEST(aes_gcm, opens_in_place_what_it_sealed) {
  aes_gcm cipher(key);
  auto text = sealed;
  ASSERT_TRUE(cipher.open(nonce.data(), associated, text, text.data()));
  EXPECT_EQ(text.substr(0, plain.size()), plain);
  auto nothing = seal(cipher, nonce, associated, "");
  EXPECT_TRUE(cipher.open(nonce.data(), associated, nothing, nothing.data()));
}

TEST(aes_gcm, refuses_every_changed_bit_and_goes_on) {
  aes_gcm cipher(key);
  std::string out(sealed.size(), '\0');
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    auto bad = sealed;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_FALSE(cipher.open(nonce.data(), associated, bad, out.data())) << bit;
  }
  EXPECT_FALSE(cipher.open(nonce.data(), associated + "x", sealed, out.data()));
  EXPECT_FALSE(cipher.open(nonce.data(), associated, sealed.substr(0, 15), out.data()));
  EXPECT_FALSE(cipher.open(nonce.data(), associated, sealed.substr(1), out.data()));
  EXPECT_TRUE(cipher.open(nonce.data(), associated, sealed, out.data()));
}

TEST(aes_gcm, another_key_opens_nothing) {
  auto other = key;
  other[31] = static_cast<char>(other[31] ^ 1);
  aes_gcm cipher(other);
  std::string out(sealed.size(), '\0');
  EXPECT_FALSE(cipher.open(nonce.data(), associated, sealed, out.data()));
}

}  // namespace
}  // namespace tern::crypto

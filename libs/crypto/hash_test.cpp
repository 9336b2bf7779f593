#include "libs/crypto/hash.hpp"

#include <gtest/gtest.h>

#include <set>

#include "libs/crypto/random.hpp"

namespace tern::crypto {
namespace {

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

TEST(hash, sha256_answers_the_published_vectors) {
  EXPECT_EQ(sha256(""), from_hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
  EXPECT_EQ(sha256("abc"), from_hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')),
            from_hex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
}

struct hmac_vector {
  std::string key, data, digest;
};

TEST(hash, hmac_answers_the_vectors_of_rfc_4231) {
  const hmac_vector vectors[] = {
      {std::string(20, '\x0b'), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {from_hex("0102030405060708090a0b0c0d0e0f10111213141516171819"), std::string(50, '\xcd'),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
       "hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const auto& vector : vectors) EXPECT_EQ(hmac_sha256(vector.key, vector.data), from_hex(vector.digest));
}

TEST(hash, hmac_takes_an_empty_key_and_no_data) {
  EXPECT_EQ(hmac_sha256({}, {}), from_hex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
}

TEST(hash, constant_time_comparison_compares) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time(std::string_view("a\0b", 3), std::string_view("a\0b", 3)));
  EXPECT_FALSE(equal_constant_time(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
  EXPECT_FALSE(equal_constant_time("ab", "abc"));
}

TEST(random, values_do_not_repeat) {
  std::set<uint64_t> seen;
  for (int i = 0; i < 10'000; ++i) seen.insert(random_u64());
  EXPECT_EQ(seen.size(), 10'000U);
  std::string large(100'000, '\0');
  random_bytes(large.data(), large.size());
  EXPECT_LT(std::count(large.begin(), large.end(), '\0'), 600);  // 390 expected
}

}  // namespace
}  // namespace tern::crypto

#include "libs/crypto/identity.hpp"

#include <gtest/gtest.h>

#include <set>

#include "libs/crypto/hash.hpp"

namespace tern::crypto {
namespace {

TEST(identity, the_name_key_separates_domain_and_name) {
  EXPECT_EQ(name_key("key", "d", "alice"), hmac_sha256("key", std::string("d\0alice", 7)));
  EXPECT_NE(name_key("key", "a", "bc"), name_key("key", "ab", "c"));
  EXPECT_NE(name_key("key", "", "alice"), name_key("other", "", "alice"));
  EXPECT_NE(name_key("key", "", "alice"), name_key("key", "", "Alice"));
  EXPECT_EQ(name_key("key", "", "alice").size(), 32U);
}

TEST(identity, an_account_is_the_first_eight_bytes_and_probes_differ) {
  std::string key(32, '\0');
  key[0] = '\x12';
  key[7] = '\x34';
  EXPECT_EQ(account_of(key).value, 0x1200000000000034U);
  std::set<account_id> ids;
  for (unsigned probe = 0; probe < account_probes; ++probe) ids.insert(account_of(key, probe));
  EXPECT_EQ(ids.size(), account_probes);
  EXPECT_EQ(account_of(key, 2), account_of(key, 2));
}

TEST(identity, no_account_is_zero_unless_the_key_is_malformed) {
  EXPECT_EQ(account_of(std::string(32, '\0')).value, 1U);
  EXPECT_FALSE(account_of("short"));
}

TEST(identity, a_pair_has_one_conversation_whoever_asks) {
  const account_id a{1}, b{2}, c{3};
  EXPECT_EQ(pair_conversation("key", a, b), pair_conversation("key", b, a));
  EXPECT_NE(pair_conversation("key", a, b), pair_conversation("key", a, c));
  EXPECT_NE(pair_conversation("key", a, b), pair_conversation("yek", a, b));
  const auto digest = hmac_sha256("key", std::string("pair\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2", 20));
  EXPECT_EQ(pair_conversation("key", a, b).hi >> 56U, static_cast<uint8_t>(digest[0]));
}

TEST(identity, names_are_short_utf8_without_control_characters) {
  for (const std::string& good : {std::string("a"), std::string("Älice 小明"), std::string(64, 'x'),
                                  std::string("\xF4\x8F\xBF\xBF"), std::string(" ")}) {
    EXPECT_TRUE(valid_name(good)) << good;
    EXPECT_TRUE(valid_domain(good)) << good;
  }
  for (const std::string& bad :
       {std::string(65, 'x'), std::string("a\0b", 3), std::string("a\n"), std::string("\x7F"),
        std::string("\xC2\x85"), std::string("\xC0\x80"), std::string("\xE0\x80\xAF"), std::string("\xED\xA0\x80"),
        std::string("\xF5\x80\x80\x80"), std::string("\xF4\x90\x80\x80"), std::string("\xE2\x82"),
        std::string("\x80"), std::string("\xE2(\xA1")}) {
    EXPECT_FALSE(valid_name(bad)) << bad;
    EXPECT_FALSE(valid_domain(bad)) << bad;
  }
  EXPECT_FALSE(valid_name(""));
  EXPECT_TRUE(valid_domain(""));
}

}  // namespace
}  // namespace tern::crypto

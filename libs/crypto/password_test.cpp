#include "libs/crypto/password.hpp"

#include <gtest/gtest.h>

namespace tern::crypto {
namespace {

constexpr password_cost cheap{64, 1, 1};

TEST(password, the_right_password_is_accepted_and_others_are_not) {
  const auto phc = hash_password("secret", cheap);
  EXPECT_TRUE(verify_password(phc, "secret"));
  EXPECT_FALSE(verify_password(phc, "Secret"));
  EXPECT_FALSE(verify_password(phc, ""));
  EXPECT_FALSE(verify_password(phc, std::string_view("secret\0", 7)));
}

TEST(password, the_default_cost_is_in_the_string) {
  const auto phc = hash_password("x");
  EXPECT_EQ(phc.rfind("$argon2id$v=19$m=19456,t=2,p=1$", 0), 0U) << phc;
  EXPECT_EQ(phc.find('\0'), std::string::npos);
  EXPECT_TRUE(verify_password(phc, "x"));
}

TEST(password, two_hashes_of_one_password_differ) { EXPECT_NE(hash_password("x", cheap), hash_password("x", cheap)); }

TEST(password, a_hash_of_another_implementation_is_understood) {
  // Test vector of the reference implementation (phc-winner-argon2, test.c).
  EXPECT_TRUE(verify_password(
      "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", "password"));
}

TEST(password, malformed_strings_and_impossible_costs_are_refused) {
  for (const char* bad : {"", "$", "$argon2id$", "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAA",
                          "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$", "plain"}) {
    EXPECT_FALSE(verify_password(bad, "x")) << bad;
  }
  EXPECT_EQ(hash_password("x", {1, 0, 0}), "");
}

}  // namespace
}  // namespace tern::crypto

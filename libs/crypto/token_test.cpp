#include "libs/crypto/token.hpp"

#include <gtest/gtest.h>

#include <set>

#include "libs/crypto/hash.hpp"

namespace tern::crypto {
namespace {

TEST(token, a_token_tells_its_account_and_its_hash) {
  const account_id account{0x0123456789ABCDEFU};
  const auto text = make_token(account);
  const auto token = parse_token(text);
  ASSERT_TRUE(token);
  EXPECT_EQ(token->account, account);
  EXPECT_EQ(token->hash, sha256(base58_decode(text)->substr(8)));
  EXPECT_LE(text.size(), 33U);
}

TEST(token, tokens_do_not_repeat) {
  std::set<std::string> hashes;
  for (int i = 0; i < 1000; ++i) hashes.insert(parse_token(make_token(account_id{1}))->hash);
  EXPECT_EQ(hashes.size(), 1000U);
}

TEST(token, malformed_tokens_are_refused) {
  const auto good = make_token(account_id{7});
  for (const std::string& bad : {std::string{}, std::string("0OIl"), good.substr(1), good + "1", "1" + good,
                                 std::string(10'000, '1'), std::string(24, '1'), std::string(33, 'z')}) {
    EXPECT_FALSE(parse_token(bad)) << bad;
  }
}

}  // namespace
}  // namespace tern::crypto

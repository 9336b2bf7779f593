#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 15_token_logs_on_once_without_a_name) {
  const std::string name = fresh_name("alice");
  const std::string node = register_account(name);
  const auto token = account_call(port(), frame_type::token, enc(), name, "secret");
  ASSERT_EQ(token.code, 0);
  wire::tim_auth auth;
  auth.token = token.n;
  auto client = anonymous();
  EXPECT_TRUE(client->login(auth).ok);
  EXPECT_EQ(client->node(), node);
  auto second = anonymous();
  EXPECT_EQ(second->login(auth).error->code, 4115);
}

TEST_P(protocol, 15_token_with_another_accounts_name_is_refused) {
  const std::string alice = fresh_name("alice"), bob = fresh_name("bob");
  register_account(alice);
  register_account(bob);
  const auto token = account_call(port(), frame_type::token, enc(), alice, "secret");
  wire::tim_auth auth;
  auth.name = bob;
  auth.token = token.n;
  EXPECT_FALSE(anonymous()->login(auth).ok);
}

TEST_P(protocol, 15_token_needs_the_right_password) {
  const std::string name = fresh_name("alice");
  register_account(name);
  EXPECT_EQ(account_call(port(), frame_type::token, enc(), name, "wrong").code, 4102);
  EXPECT_EQ(account_call(port(), frame_type::token, enc(), fresh_name("nobody"), "secret").code, 4102);
}

}  // namespace
}  // namespace tern::testing

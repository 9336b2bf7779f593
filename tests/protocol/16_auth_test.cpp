#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 16_auth_answers_with_the_node) {
  const std::string name = fresh_name("alice");
  const std::string node = register_account(name);
  auto client = anonymous();
  const auto ack = client->login(name, "secret");
  EXPECT_TRUE(ack.ok);
  EXPECT_EQ(ack.tim_type, 16);
  EXPECT_EQ(ack.n, node);
  EXPECT_TRUE(ack.t);
  EXPECT_TRUE(ack.n2);
}

TEST_P(protocol, 16_auth_refuses_wrong_passwords_and_unknown_names_alike) {
  const std::string name = fresh_name("alice");
  register_account(name);
  auto client = anonymous();
  const auto wrong = client->login(name, "wrong");
  EXPECT_FALSE(wrong.ok);
  const auto code = wrong.error->code;
  EXPECT_EQ(code, 4105);
  const auto unknown = client->login(fresh_name("nobody"), "secret");
  EXPECT_EQ(unknown.error->code, code);
}

TEST_P(protocol, 16_auth_twice_is_answered_ok_again) {
  const std::string name = fresh_name("alice");
  register_account(name);
  auto client = log_in(name);
  EXPECT_TRUE(client->login(name, "secret").ok);
}

TEST_P(protocol, 16_auth_does_not_find_an_account_in_another_domain) {
  const std::string name = fresh_name("alice");
  register_account(name, "blue");
  EXPECT_FALSE(anonymous()->login(name, "secret").ok);
  EXPECT_TRUE(anonymous()->login(name, "secret", "blue").ok);
}

TEST_P(protocol, 16_auth_closes_on_a_command_before_it) {
  auto client = anonymous();
  client->send(frame_type::message, text_message("x", "y"));
  EXPECT_TRUE(client->ws().wait_close());
}

}  // namespace
}  // namespace tern::testing

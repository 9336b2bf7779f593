#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

wire::tim_req change(std::string_view old_one, std::string_view new_one) {
  wire::tim_req req;
  req.rtype = 21;
  req.req_str = old_one;
  req.req_str2 = new_one;
  return req;
}

TEST_P(protocol, 41_business_21_changes_the_password_and_ends_other_terminals_and_tokens) {
  std::string name;
  auto alice = new_user("alice", &name);
  auto phone = log_in(name);
  const auto token = account_call(port(), frame_type::token, enc(), name, "secret");
  ASSERT_EQ(token.code, 0);
  alice->send(frame_type::business, change("secret", "better"));
  expect_ok(*alice, frame_type::business, 21);
  const auto logout = phone->next(frame_type::logout);
  ASSERT_TRUE(logout);
  EXPECT_EQ(phone->read<wire::tim_ack>(*logout).tim_type, 20);
  EXPECT_TRUE(phone->ws().wait_close());
  alice->send_bytes(frame_type::ping, {});
  EXPECT_TRUE(alice->next(frame_type::ping)) << "the terminal that asked stays";
  wire::tim_auth by_token;
  by_token.token = token.n;
  const auto refused = anonymous()->login(by_token);
  EXPECT_FALSE(refused.ok);
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, 4115);
  EXPECT_FALSE(anonymous()->login(name, "secret").ok) << "the old password is dead";
  EXPECT_TRUE(anonymous()->login(name, "better").ok);
  EXPECT_EQ(account_call(port(), frame_type::token, enc(), name, "secret").code, 4102);
  EXPECT_EQ(account_call(port(), frame_type::token, enc(), name, "better").code, 0);
}

TEST_P(protocol, 41_business_21_needs_the_old_password_and_a_new_one) {
  std::string name;
  auto alice = new_user("alice", &name);
  alice->send(frame_type::business, change("wrong", "better"));
  expect_refused(*alice, frame_type::business, 4112);
  for (const std::string& bad : {std::string(), std::string(513, 'x')}) {
    alice->send(frame_type::business, change("secret", bad));
    expect_refused(*alice, frame_type::business, 4112);
  }
  business(*alice, 21);
  expect_refused(*alice, frame_type::business, 4112);
  EXPECT_TRUE(anonymous()->login(name, "secret").ok);
  alice->send(frame_type::business, change("secret", std::string(512, 'x')));
  expect_ok(*alice, frame_type::business, 21);
  EXPECT_TRUE(anonymous()->login(name, std::string(512, 'x')).ok);
}

TEST_P(protocol, 41_business_21_guesses_are_throttled) {
  auto alice = new_user("alice");
  bool throttled = false;
  for (int i = 0; i < 30 && !throttled; ++i) {
    alice->send(frame_type::business, change("wrong " + std::to_string(i), "better"));
    const auto ack = alice->next_ack();
    EXPECT_FALSE(ack.ok);
    ASSERT_TRUE(ack.error);
    throttled = ack.error->code == 5105;
    EXPECT_TRUE(throttled || ack.error->code == 4112) << ack.error->code.value_or(0);
  }
  EXPECT_TRUE(throttled);
}

}  // namespace
}  // namespace tern::testing

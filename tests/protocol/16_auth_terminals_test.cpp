#include "tests/protocol/fixture.hpp"

// Several terminals of one account. The limits of the tests' servers: three terminals, two of one type, no age below
// which a terminal is not replaced.
namespace tern::testing {
namespace {

using wire::frame_type;

void expect_alive(tim_client& who) {
  who.send_bytes(frame_type::ping, {});
  EXPECT_TRUE(who.find([](const server_frame& f) { return f.type == frame_type::ping; }));
}

void expect_logged_out(tim_client& who) {
  const auto frame = who.find([](const server_frame& f) { return f.type == frame_type::logout; });
  ASSERT_TRUE(frame) << "no LOGOUT";
  EXPECT_EQ(who.read<wire::tim_ack>(*frame).tim_type, 20);
  EXPECT_TRUE(who.ws().wait_close());
}

TEST_P(protocol, 16_auth_lets_terminals_in_up_to_the_limit_and_replaces_the_oldest_beyond) {
  const std::string name = fresh_name("alice");
  register_account(name);
  auto first = log_in_as(name, 1), second = log_in_as(name, 2), third = log_in_as(name, 3);
  for (auto* one : {first.get(), second.get(), third.get()}) expect_alive(*one);
  auto fourth = log_in_as(name, 4);
  expect_logged_out(*first);
  for (auto* one : {second.get(), third.get(), fourth.get()}) expect_alive(*one);
}

TEST_P(protocol, 16_auth_replaces_the_oldest_of_the_type_where_that_limit_is_hit) {
  const std::string name = fresh_name("alice");
  register_account(name);
  auto phone = log_in_as(name, 1), desk = log_in_as(name, 2), other_desk = log_in_as(name, 2);
  auto third_desk = log_in_as(name, 2);
  expect_logged_out(*desk);
  for (auto* one : {phone.get(), other_desk.get(), third_desk.get()}) expect_alive(*one);
}

TEST_P(protocol, 16_auth_frees_the_place_of_a_terminal_that_went) {
  const std::string name = fresh_name("alice");
  register_account(name);
  auto first = log_in_as(name, 1), second = log_in_as(name, 2);
  for (int round = 0; round < 6; ++round) {
    auto third = log_in_as(name, 3);
    const std::string node = third->node();
    third.reset();
    // The others hear that it went: now its place is free.
    ASSERT_TRUE(first->find([&](const server_frame& f) { return f.type == frame_type::presence; }));
  }
  expect_alive(*first);
  expect_alive(*second);
}

TEST_P(protocol, 16_auth_of_two_terminals_echoes_messages_on_both_wherever_they_are) {
  const std::string alice_name = fresh_name("alice"), bob_name = fresh_name("bob");
  register_account(alice_name);
  register_account(bob_name);
  auto alice = log_in_as(alice_name, 1), alice_two = log_in_as(alice_name, 2);
  auto bob = log_in_as(bob_name, 1), bob_two = log_in_as(bob_name, 2);
  befriend(*alice, *bob);
  for (int i = 0; i < 10; ++i) {
    auto& sender = i % 2 == 0 ? *alice : *alice_two;
    const std::string text = "text " + std::to_string(i);
    const int64_t mid = send_text(sender, bob->node(), text);
    for (auto* one : {i % 2 == 0 ? alice_two.get() : alice.get(), bob.get(), bob_two.get()}) {
      const auto got = expect_message(
          *one, [](const seen_message& m) { return m.od_type == 1; }, text);
      EXPECT_EQ(got.text, text);
      EXPECT_EQ(got.mid, mid);
      EXPECT_EQ(got.to, bob->node());
    }
  }
}

TEST_P(protocol, 16_auth_of_many_at_once_never_exceeds_the_limit) {
  const std::string name = fresh_name("alice");
  register_account(name);
  std::vector<client_ptr> all;
  for (int8_t i = 0; i < 10; ++i) all.push_back(anonymous());
  for (size_t i = 0; i < all.size(); ++i) {
    wire::tim_auth auth;
    auth.name = name;
    auth.pwd = "secret";
    auth.termtyp = static_cast<int8_t>(i);
    all[i]->send(frame_type::auth, auth);
  }
  for (auto& one : all) one->next_ack();
  // Who is left answers to a command that goes through the account's owner.
  wire::tim_nodes self;
  self.ntype = 4;
  self.nodelist = std::vector<wire::text>{};
  size_t left = 0;
  for (auto& one : all) {
    one->send(frame_type::nodes, self);
    const auto frame = one->find([](const server_frame& f) {
      return f.type == frame_type::nodes || f.type == frame_type::ack || f.type == frame_type::logout;
    });
    if (frame && frame->type != frame_type::logout) ++left;
  }
  EXPECT_LE(left, 3U);
  EXPECT_GE(left, 1U);
}

TEST_P(protocol, 16_auth_keeps_domains_apart) {
  const std::string name = fresh_name("alice");
  register_account(name, "red");
  register_account(name, "blue");
  auto red = log_in(name, "red"), blue = log_in(name, "blue");
  EXPECT_NE(red->node(), blue->node());
  EXPECT_FALSE(anonymous()->login(name, "secret").ok);
  auto plain = new_user("carol");
  for (auto* one : {blue.get(), plain.get()}) {
    business(*red, 4, one->node());
    expect_refused(*red, frame_type::business, 4106);
    business(*red, 7, one->node());
    expect_refused(*red, frame_type::business, 4106);
    red->send(frame_type::message, text_message(one->node(), "over the fence"));
    EXPECT_FALSE(red->next_ack().ok);
    red->send(frame_type::pullmessage, history(1, one->node(), 0, 10));
    settle(*red);
    expect_no_text(*one, "over the fence");
  }
}

}  // namespace
}  // namespace tern::testing

#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 90_message_goes_to_the_friend_and_back_as_receipt) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  EXPECT_EQ(send_text(*alice, bob->node(), "one", 77), 1);
  expect_text(*bob, alice->node(), "one", 1);
  EXPECT_EQ(send_text(*bob, alice->node(), "two"), 2);
  expect_text(*alice, bob->node(), "two", 2);
}

TEST_P(protocol, 90_message_reaches_every_terminal_of_both_sides) {
  std::string alice_name, bob_name;
  auto alice = new_user("alice", &alice_name);
  auto bob = new_user("bob", &bob_name);
  befriend(*alice, *bob);
  auto alice_phone = log_in(alice_name);
  auto bob_phone = log_in(bob_name);
  const int64_t mid = send_text(*alice, bob->node(), "all");
  expect_text(*bob, alice->node(), "all", mid);
  expect_text(*bob_phone, alice->node(), "all", mid);
  const auto copy = alice_phone->next(frame_type::message);
  ASSERT_TRUE(copy);
  EXPECT_EQ(alice_phone->read<wire::tim_message>(*copy).mid, mid);
}

TEST_P(protocol, 90_message_sent_twice_with_one_id_is_one_message) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  const int64_t mid = send_text(*alice, bob->node(), "once", 4711);
  alice->send(frame_type::message, text_message(bob->node(), "another body", 4711));
  const auto frame = alice->next(frame_type::message);
  ASSERT_TRUE(frame);
  EXPECT_EQ(alice->read<wire::tim_message>(*frame).mid, mid);
  expect_text(*bob, alice->node(), "once", mid);
  EXPECT_EQ(send_text(*alice, bob->node(), "next"), mid + 1);
  expect_text(*bob, alice->node(), "next", mid + 1);
}

TEST_P(protocol, 90_message_keeps_the_order_of_a_pipeline) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  constexpr int count = 200;
  for (int i = 1; i <= count; ++i) {
    alice->send(frame_type::message, text_message(bob->node(), "text " + std::to_string(i)));
  }
  for (int i = 1; i <= count; ++i) {
    const auto receipt = alice->next(frame_type::message);
    ASSERT_TRUE(receipt) << i;
    EXPECT_EQ(alice->read<wire::tim_message>(*receipt).mid, i);
  }
  for (int i = 1; i <= count; ++i) expect_text(*bob, alice->node(), "text " + std::to_string(i), i);
}

TEST_P(protocol, 90_message_to_strangers_other_domains_and_nobody_is_refused) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  const std::string elsewhere = register_account(fresh_name("carol"), "blue");
  alice->send(frame_type::message, text_message(bob->node(), "x"));
  expect_refused(*alice, frame_type::message, 4105);
  alice->send(frame_type::message, text_message(elsewhere, "x"));
  EXPECT_FALSE(alice->next_ack().ok);
  alice->send(frame_type::message, text_message("nonsense", "x"));
  expect_refused(*alice, frame_type::message, 4106);
  alice->send(frame_type::message, text_message(alice->node(), "x"));
  EXPECT_FALSE(alice->next_ack().ok);
  EXPECT_FALSE(bob->next(silence));
}

TEST_P(protocol, 90_message_kinds_that_cannot_be_are_refused) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  for (const int kind : {-128, -1, 0, 1, 4, 127}) {
    auto message = text_message(bob->node(), "x");
    message.ms_type = static_cast<int8_t>(kind);
    alice->send(frame_type::message, message);
    const auto ack = alice->next_ack();
    EXPECT_FALSE(ack.ok) << kind;
  }
  for (const int order : {-128, -1, 0, 4, 8, 30}) {
    auto message = text_message(bob->node(), "x");
    message.od_type = static_cast<int8_t>(order);
    alice->send(frame_type::message, message);
    EXPECT_FALSE(alice->next_ack().ok) << order;
  }
  EXPECT_EQ(send_text(*alice, bob->node(), "fine"), 1);
}

TEST_P(protocol, 90_message_carries_every_field_but_the_sender) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  auto message = text_message(bob->node(), "text", 9);
  wire::tid forged;
  forged.node = bob->node();
  message.from_tid = forged;
  message.data_binary = std::string_view("\0\xff\x01", 3);
  message.udtype = int16_t{300};
  message.udshow = int16_t{-2};
  message.extend = wire::string_map{{"k", "v"}};
  message.extra = wire::string_map{{"b", std::string_view("\xfe\0", 2)}};
  alice->send(frame_type::message, message);
  const auto frame = bob->next(frame_type::message);
  ASSERT_TRUE(frame);
  const auto got = bob->read<wire::tim_message>(*frame);
  EXPECT_EQ(got.from_tid->node, alice->node());
  EXPECT_EQ(got.id, 9);
  EXPECT_EQ(got.data_binary, message.data_binary);
  EXPECT_EQ(got.udtype, message.udtype);
  EXPECT_EQ(got.udshow, message.udshow);
  EXPECT_EQ(got.extend, message.extend);
  EXPECT_EQ(got.extra, message.extra);
}

}  // namespace
}  // namespace tern::testing

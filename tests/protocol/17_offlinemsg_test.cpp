#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 17_offlinemsg_brings_what_came_meanwhile_in_order) {
  std::string name;
  auto alice = new_user("alice");
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  const std::string node = bob->node();
  bob.reset();
  for (int i = 1; i <= 120; ++i) send_text(*alice, node, "text " + std::to_string(i));
  bob = log_in(name);
  bob->send_bytes(frame_type::offlinemsg, {});
  int expected = 1;
  for (;;) {
    const auto frame = bob->next();
    ASSERT_TRUE(frame);
    if (frame->type == frame_type::offlinemsgend) break;
    if (frame->type == frame_type::presence) continue;  // of the connection before
    ASSERT_EQ(frame->type, frame_type::offlinemsg);
    EXPECT_TRUE(frame->sync_id);
    const auto list = bob->read<wire::tim_message_list>(*frame);
    ASSERT_TRUE(list.message_list);
    EXPECT_LE(list.message_list->size(), 50U);
    for (const auto& message : *list.message_list) {
      EXPECT_EQ(message.data_string, "text " + std::to_string(expected));
      EXPECT_EQ(message.mid, expected);
      EXPECT_EQ(message.is_offline, true);
      ++expected;
    }
  }
  EXPECT_EQ(expected, 121);
}

TEST_P(protocol, 17_offlinemsg_keeps_what_was_not_acknowledged) {
  std::string name;
  auto alice = new_user("alice");
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  const std::string node = bob->node();
  bob.reset();
  send_text(*alice, node, "kept");
  for (int round = 0; round < 2; ++round) {
    bob = log_in(name);
    bob->acknowledge_by_itself(false);
    bob->send_bytes(frame_type::offlinemsg, {});
    EXPECT_TRUE(bob->next(frame_type::offlinemsg)) << round;
  }
}

TEST_P(protocol, 17_offlinemsg_brings_notices_too) {
  std::string name;
  auto alice = new_user("alice");
  auto bob = new_user("bob", &name);
  const std::string node = bob->node();
  bob.reset();
  business(*alice, 4, node, "it is me");
  bob = log_in(name);
  bob->send_bytes(frame_type::offlinemsg, {});
  // The notice comes as a list, or live when it was stored only after the login.
  for (;;) {
    const auto frame = bob->next();
    ASSERT_TRUE(frame);
    if (frame->type == frame_type::offlinemsg) {
      const auto list = bob->read<wire::tim_message_list>(*frame);
      ASSERT_TRUE(list.message_list && list.message_list->size() == 1);
      EXPECT_EQ(list.message_list->front().bn_type, 4);
      EXPECT_EQ(list.message_list->front().data_string, "it is me");
      break;
    }
    if (frame->type == frame_type::message) {
      EXPECT_EQ(bob->read<wire::tim_message>(*frame).bn_type, 4);
      break;
    }
  }
}

}  // namespace
}  // namespace tern::testing

#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 12_ack_ends_the_redelivery_of_a_message) {
  std::string name;
  auto alice = new_user("alice");
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  const int64_t mid = send_text(*alice, bob->node(), "once");
  expect_text(*bob, alice->node(), "once", mid);
  // The acknowledgement is on its way before the end of the connection.
  bob->send_bytes(frame_type::ping, {});
  ASSERT_TRUE(bob->next(frame_type::ping));
  bob.reset();
  auto again = log_in(name);
  again->send_bytes(frame_type::offlinemsg, {});
  auto first = again->next();
  while (first && first->type == frame_type::presence) first = again->next();  // of the connection before
  ASSERT_TRUE(first);
  EXPECT_EQ(first->type, frame_type::offlinemsgend);
}

TEST_P(protocol, 12_ack_that_never_comes_brings_the_message_again) {
  std::string name;
  auto alice = new_user("alice");
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  bob->acknowledge_by_itself(false);
  const int64_t mid = send_text(*alice, bob->node(), "again");
  expect_text(*bob, alice->node(), "again", mid);
  bob.reset();
  auto later = log_in(name);
  later->send_bytes(frame_type::offlinemsg, {});
  const auto frame = later->next(frame_type::offlinemsg);
  ASSERT_TRUE(frame);
  const auto list = later->read<wire::tim_message_list>(*frame);
  ASSERT_TRUE(list.message_list && list.message_list->size() == 1);
  EXPECT_EQ(list.message_list->front().mid, mid);
}

TEST_P(protocol, 12_ack_of_nothing_is_ignored_and_in_the_end_closes) {
  auto client = new_user("alice");
  client->acknowledge(1);
  client->send_bytes(frame_type::ping, {});
  EXPECT_TRUE(client->next(frame_type::ping));
  for (int32_t i = 0; i < 10; ++i) client->acknowledge(i);
  EXPECT_TRUE(client->ws().wait_close());
}

}  // namespace
}  // namespace tern::testing

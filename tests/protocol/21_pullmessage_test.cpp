#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

TEST_P(protocol, 21_pullmessage_reads_newest_first_from_a_mid) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  for (int i = 1; i <= 5; ++i) send_text(*alice, bob->node(), "text " + std::to_string(i));
  for (auto* reader : {alice.get(), bob.get()}) {
    const std::string& other = reader == alice.get() ? bob->node() : alice->node();
    reader->send(frame_type::pullmessage, history(1, other, 0, 2));
    auto frame = reader->next(frame_type::pullmessage);
    ASSERT_TRUE(frame);
    auto list = reader->read<wire::tim_message_list>(*frame);
    ASSERT_TRUE(list.message_list && list.message_list->size() == 2);
    EXPECT_EQ(list.message_list->at(0).mid, 5);
    EXPECT_EQ(list.message_list->at(1).mid, 4);
    reader->send(frame_type::pullmessage, history(1, other, 3, 100));
    frame = reader->next(frame_type::pullmessage);
    ASSERT_TRUE(frame);
    list = reader->read<wire::tim_message_list>(*frame);
    ASSERT_TRUE(list.message_list && list.message_list->size() == 3);
    EXPECT_EQ(list.message_list->back().data_string, "text 1");
    EXPECT_EQ(list.message_list->back().from_tid->node, alice->node());
  }
}

TEST_P(protocol, 21_pullmessage_shows_a_message_right_after_its_receipt) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  for (int i = 1; i <= 20; ++i) {
    const int64_t mid = send_text(*alice, bob->node(), "x");
    bob->send(frame_type::pullmessage, history(1, alice->node(), 0, 1));
    const auto frame = bob->next(frame_type::pullmessage);
    ASSERT_TRUE(frame);
    EXPECT_EQ(bob->read<wire::tim_message_list>(*frame).message_list->front().mid, mid);
  }
}

TEST_P(protocol, 21_pullmessage_is_silent_about_an_empty_history) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  alice->send(frame_type::pullmessage, history(1, bob->node(), 0, 10));
  EXPECT_FALSE(alice->next(silence));
}

TEST_P(protocol, 21_pullmessage_refuses_what_cannot_be) {
  auto alice = new_user("alice");
  alice->send(frame_type::pullmessage, history(1, "nonsense", 0, 10));
  expect_refused(*alice, frame_type::pullmessage, 4106);
  alice->send(frame_type::pullmessage, history(1, alice->node(), -1, 10));
  const auto ack = alice->next_ack();
  EXPECT_FALSE(ack.ok);
  alice->send(frame_type::pullmessage, wire::tim_req{});
  EXPECT_FALSE(alice->next_ack().ok);
}

}  // namespace
}  // namespace tern::testing

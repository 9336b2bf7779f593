#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

class offlinemsg_test : public session_fixture {
 protected:
  void say(int count) {
    for (int i = 0; i < count; ++i) frame(1, alice, frame_type::message, text_to(bob_node, "m"));
    settle();
  }
  void drain(uint64_t conn) {
    raw_frame(conn, bob, frame_type::offlinemsg, "");
    settle();
  }
  /// Acknowledges lists as they come; returns the mids in the order they came.
  std::vector<int64_t> drain_all(uint64_t conn) {
    std::vector<int64_t> mids;
    for (auto lists = frames(conn, frame_type::offlinemsg); !lists.empty();
         lists = frames(conn, frame_type::offlinemsg)) {
      for (const auto& list : lists) {
        EXPECT_EQ(list.ref().kind(), v1::DeliveryRef::BATCH);
        for (const auto& row : list_of(list)) {
          EXPECT_EQ(row.is_offline, true);
          mids.push_back(*row.mid);
        }
        ack(conn, bob, list.ref());
      }
      settle();
    }
    return mids;
  }
  const std::string bob_node = to_node(bob);
};

TEST_F(offlinemsg_test, what_came_off_line_is_drained_in_order_in_lists_of_the_configured_size) {
  options.drain_messages = 50;
  ASSERT_TRUE(log_on(1, alice));
  say(120);
  EXPECT_TRUE(storage.outbox.empty());
  EXPECT_EQ(storage.cursor_writes, 1U);
  ASSERT_TRUE(log_on(2, bob));
  drain(2);
  EXPECT_TRUE(frames(2, frame_type::offlinemsgend).empty());
  const auto mids = drain_all(2);
  ASSERT_EQ(mids.size(), 120U);
  for (size_t i = 0; i < mids.size(); ++i) EXPECT_EQ(mids[i], static_cast<int64_t>(i + 1));
  EXPECT_EQ(frames(2, frame_type::offlinemsgend).size(), 1U);
  EXPECT_TRUE(storage.cursors.empty());
}

TEST_F(offlinemsg_test, an_empty_backlog_is_answered_with_the_end_alone) {
  ASSERT_TRUE(log_on(2, bob));
  drain(2);
  const auto got = frames(2);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].type(), static_cast<uint32_t>(frame_type::offlinemsgend));
}

TEST_F(offlinemsg_test, live_messages_during_a_drain_come_after_it_and_in_order) {
  options.drain_messages = 2;
  ASSERT_TRUE(log_on(1, alice));
  say(5);
  ASSERT_TRUE(log_on(2, bob));
  drain(2);
  say(2);
  auto mids = drain_all(2);
  say(1);
  for (const auto& out : frames(2, frame_type::message)) mids.push_back(*message_of(out).mid);
  EXPECT_EQ(mids, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(frames(2, frame_type::offlinemsgend).size(), 1U);
}

TEST_F(offlinemsg_test, a_live_message_starts_the_drain_a_client_did_not_ask_for) {
  ASSERT_TRUE(log_on(1, alice));
  say(2);
  ASSERT_TRUE(log_on(2, bob));
  EXPECT_TRUE(frames(2, frame_type::offlinemsg).empty());
  say(1);
  EXPECT_EQ(drain_all(2), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_TRUE(frames(2, frame_type::offlinemsgend).empty());
}

TEST_F(offlinemsg_test, messages_unacknowledged_when_the_terminal_goes_come_back_off_line) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say(3);
  EXPECT_EQ(frames(2, frame_type::message).size(), 3U);
  close(2, bob);
  EXPECT_TRUE(storage.outbox.empty());
  ASSERT_TRUE(log_on(4, bob));
  drain(4);
  EXPECT_EQ(drain_all(4), (std::vector<int64_t>{1, 2, 3}));
}

TEST_F(offlinemsg_test, a_list_not_acknowledged_comes_again_on_the_next_connection) {
  options.drain_messages = 2;
  ASSERT_TRUE(log_on(1, alice));
  say(4);
  ASSERT_TRUE(log_on(2, bob));
  drain(2);
  auto lists = frames(2, frame_type::offlinemsg);
  ack(2, bob, lists[0].ref());
  settle();
  EXPECT_EQ(frames(2, frame_type::offlinemsg).size(), 1U);
  close(2, bob);
  ASSERT_TRUE(log_on(4, bob));
  drain(4);
  EXPECT_EQ(drain_all(4), (std::vector<int64_t>{3, 4}));
}

TEST_F(offlinemsg_test, ones_own_messages_are_not_in_the_backlog) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  const std::string alice_node = to_node(alice);
  close(2, bob);
  say(1);
  ASSERT_TRUE(log_on(4, bob));
  frame(4, bob, frame_type::message, text_to(alice_node, "answer"));
  settle();
  drain(4);
  EXPECT_EQ(drain_all(4), std::vector<int64_t>{1});
}

}  // namespace
}  // namespace tern::session

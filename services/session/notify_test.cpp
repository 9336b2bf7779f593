#include "services/session/notify.hpp"

#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

class notify_test : public session_fixture {
 protected:
  errc notify(const std::string& key, const std::string& text) {
    errc got = errc::internal;
    notify_account(storage, time, {alice, "", key, text}, [&](errc code) { got = code; });
    settle();
    return got;
  }
};

TEST_F(notify_test, all_terminals_get_a_notice_without_a_sender_until_one_acknowledges) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice));
  EXPECT_EQ(notify("maintenance-1", "back at noon"), errc::ok);
  for (const uint64_t conn : {1U, 2U}) {
    const auto got = frames(conn, wire::frame_type::message);
    ASSERT_EQ(got.size(), 1U);
    const auto seen = message_of(got[0]);
    EXPECT_EQ(seen.ms_type, 1);
    EXPECT_EQ(seen.od_type, 4);
    EXPECT_FALSE(seen.bn_type);
    EXPECT_FALSE(seen.from_tid);
    EXPECT_EQ(seen.to_tid->node, to_node(alice));
    EXPECT_EQ(seen.data_string, "back at noon");
    EXPECT_TRUE(seen.timestamp);
    if (conn == 1) ack(conn, alice, got[0].ref());
  }
  settle();
  EXPECT_TRUE(storage.notices.empty());
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(notify_test, the_same_key_is_one_notice) {
  ASSERT_TRUE(log_on(1, alice));
  EXPECT_EQ(notify("k", "text"), errc::ok);
  EXPECT_EQ(notify("k", "text"), errc::ok);
  EXPECT_EQ(frames(1, wire::frame_type::message).size(), 1U);
  EXPECT_EQ(notify("l", "text"), errc::ok);
  EXPECT_EQ(frames(1, wire::frame_type::message).size(), 1U);
}

TEST_F(notify_test, an_account_that_is_off_line_finds_it_later) {
  EXPECT_EQ(notify("k", "text"), errc::ok);
  EXPECT_TRUE(storage.outbox.empty());
  ASSERT_TRUE(log_on(1, alice));
  raw_frame(1, alice, wire::frame_type::offlinemsg, "");
  settle();
  const auto lists = frames(1, wire::frame_type::offlinemsg);
  ASSERT_EQ(lists.size(), 1U);
  EXPECT_EQ(list_of(lists[0])[0].data_string, "text");
}

TEST_F(notify_test, empty_and_oversized_texts_are_refused_and_failures_are_told) {
  EXPECT_EQ(notify("k", ""), errc::bad_parameter);
  EXPECT_EQ(notify("k", std::string(4097, 'x')), errc::bad_parameter);
  storage.fail_next(storage::v1::StorageRequest::kNoticePut, errc::cancelled);
  EXPECT_EQ(notify("k", "text"), errc::cancelled);
  EXPECT_TRUE(storage.notices.empty());
}

TEST(notice_id, is_below_two_to_the_53rd_and_differs_by_account_and_key) {
  const account_id one{1}, other{2};
  EXPECT_NE(notice_id_of(one, "k"), notice_id_of(other, "k"));
  EXPECT_NE(notice_id_of(one, "k"), notice_id_of(one, "l"));
  EXPECT_EQ(notice_id_of(one, "k"), notice_id_of(one, "k"));
  EXPECT_LT(notice_id_of(one, "k"), uint64_t{1} << 53U);
}

}  // namespace
}  // namespace tern::session

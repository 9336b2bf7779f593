// The session and storage services as they are, with routing and group, over local links; the gateway is scripted.
#include <set>

#include "tests/integration/session_storage_fixture.hpp"

namespace tern::testing {
namespace {

class session_storage_test : public session_storage_fixture {};

TEST_F(session_storage_test, a_message_goes_from_one_terminal_to_the_other_and_its_receipt_back) {
  befriended();
  say(1, alice_, bob_, 2, "hello");
  const auto receipt = message_at(1, DeliveryRef::RECEIPT);
  ASSERT_TRUE(receipt);
  EXPECT_EQ(mid_of(*receipt), 1);
  EXPECT_EQ(receipt->confirm(), 2U);
  const auto delivered = message_at(2, DeliveryRef::MESSAGE);
  ASSERT_TRUE(delivered);
  EXPECT_EQ(mid_of(*delivered), 1);
  ack(2, bob_, *delivered);
}

TEST_F(session_storage_test, a_frame_replayed_over_a_new_link_is_stored_once) {
  befriended();
  say(1, alice_, bob_, 2, "once");
  gateway_->hang_up();  // whatever became of it
  gateway_->call();
  bind(2, bob_, 2);
  bind(1, alice_, 2);
  say(1, alice_, bob_, 2, "once");
  const auto receipt = message_at(1, DeliveryRef::RECEIPT);
  ASSERT_TRUE(receipt);
  EXPECT_EQ(mid_of(*receipt), 1);
  say(1, alice_, bob_, 3, "next");
  const auto second = message_at(1, DeliveryRef::RECEIPT);
  ASSERT_TRUE(second);
  EXPECT_EQ(mid_of(*second), 2);
  std::set<int64_t> seen;
  for (int i = 0; i < 2; ++i) {
    const auto delivered = message_at(2, DeliveryRef::MESSAGE);
    ASSERT_TRUE(delivered);
    seen.insert(mid_of(*delivered));
  }
  EXPECT_EQ(seen, (std::set<int64_t>{1, 2}));
}

TEST_F(session_storage_test, what_is_unacknowledged_over_a_new_link_is_not_sent_again_and_the_rest_follows) {
  befriended();
  say(1, alice_, bob_, 2, "first");
  const auto first = message_at(2, DeliveryRef::MESSAGE);
  ASSERT_TRUE(first);
  gateway_->hang_up();
  gateway_->call();
  bind(2, bob_, 2, {first->ref()});
  bind(1, alice_, 3);
  say(1, alice_, bob_, 3, "second");
  const auto second = message_at(2, DeliveryRef::MESSAGE);
  ASSERT_TRUE(second);
  EXPECT_EQ(mid_of(*second), 2);
}

TEST_F(session_storage_test, messages_for_somebody_off_line_are_drained_in_order_and_only_once) {
  befriended();
  GatewayItem gone;
  gone.mutable_closed()->set_conn(2);
  gone.mutable_closed()->set_account(bob_.value);
  gateway_->send(std::move(gone));
  constexpr uint64_t many = 120;
  for (uint64_t i = 0; i < many; ++i) say(1, alice_, bob_, 2 + i, "later");
  for (uint64_t i = 0; i < many; ++i) ASSERT_TRUE(message_at(1, DeliveryRef::RECEIPT));
  ASSERT_EQ(log_in(3, "bob"), errc::ok);
  frame(3, bob_, 1, frame_type::offlinemsg, wire::tim_req{});
  // What the dispatcher had not brought when the drain began comes live, after it.
  std::vector<int64_t> mids;
  while (mids.size() < many) {
    const auto item = gateway_->wait(
        [](const SessionItem& one) { return one.has_out() && one.out().conn() == 3 && one.out().has_ref(); });
    ASSERT_TRUE(item) << "after " << mids.size();
    for (const int64_t mid : mids_of(item->out())) mids.push_back(mid);
    ack(3, bob_, item->out());
  }
  for (uint64_t i = 0; i < many; ++i) EXPECT_EQ(mids[i], static_cast<int64_t>(i + 1));
  EXPECT_TRUE(gateway_->wait_out(3, static_cast<uint32_t>(frame_type::offlinemsgend)));
  frame(3, bob_, 2, frame_type::offlinemsg, wire::tim_req{});
  EXPECT_TRUE(gateway_->wait_out(3, static_cast<uint32_t>(frame_type::offlinemsgend)));
  EXPECT_EQ(gateway_->count([](const SessionItem& one) {
    return one.has_out() && one.out().type() == static_cast<uint32_t>(frame_type::offlinemsg);
  }),
            0U);
}

TEST_F(session_storage_test, of_a_hundred_parallel_logins_with_a_limit_of_one_exactly_one_stays) {
  constexpr uint64_t first = 100;
  for (uint64_t conn = first; conn < first + 100; ++conn) start_login(conn, "alice", "alice");
  size_t in = 0;
  for (uint64_t conn = first; conn < first + 100; ++conn) {
    const errc code = login_code(conn);
    in += code == errc::ok ? 1 : 0;
    EXPECT_TRUE(code == errc::ok || code == errc::over_entry || code == errc::overload) << to_string(code);
  }
  EXPECT_EQ(in, 1U);
  start_login(7, "alice", "wrong");
  EXPECT_EQ(login_code(7), errc::no_pass);
}

}  // namespace
}  // namespace tern::testing

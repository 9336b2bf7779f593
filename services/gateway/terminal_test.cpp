#include "services/gateway/terminal.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace tern::gateway {
namespace {

/// Keeps what was written.
class written final : public frame_writer {
 public:
  struct one {
    std::string payload;
    int32_t sync_id = 0;
  };
  void write(const outbound_frame& frame, int32_t sync_id) override { all.push_back({frame.payload, sync_id}); }
  std::vector<one> all;
};

outbound_frame delivery(uint64_t mid, uint64_t conversation = 1, ref_kind kind = ref_kind::message) {
  outbound_frame out;
  out.type = 90;
  out.wants_ack = true;
  out.payload = "m" + std::to_string(mid);
  out.ref = {kind, {conversation, 0}, mid};
  return out;
}

class terminal_test : public testing::Test {
 protected:
  bool offer(outbound_frame frame) { return it.offer(std::move(frame), tick, limits, out); }
  terminal_limits limits{
      .window = 4, .waiting_frames = 8, .waiting_bytes = 1000, .unconfirmed = 3, .conversations = 3};
  terminal it;
  written out;
  uint32_t tick = 1;
};

TEST_F(terminal_test, writes_what_wants_no_acknowledgement_without_a_sync_id) {
  outbound_frame frame;
  frame.payload = "x";
  EXPECT_TRUE(offer(frame));
  ASSERT_EQ(out.all.size(), 1U);
  EXPECT_EQ(out.all[0].sync_id, 0);
  EXPECT_EQ(it.unacked(), 0U);
}

TEST_F(terminal_test, numbers_deliveries_from_one) {
  for (uint64_t mid = 1; mid <= 3; ++mid) EXPECT_TRUE(offer(delivery(mid)));
  EXPECT_EQ(out.all[0].sync_id, 1);
  EXPECT_EQ(out.all[2].sync_id, 3);
}

TEST_F(terminal_test, lets_deliveries_wait_behind_a_full_window_and_keeps_their_order) {
  for (uint64_t mid = 1; mid <= 6; ++mid) EXPECT_TRUE(offer(delivery(mid)));
  EXPECT_EQ(out.all.size(), 4U);
  EXPECT_EQ(it.waiting(), 2U);
  ASSERT_TRUE(it.acknowledge(2, tick, limits, out));
  ASSERT_EQ(out.all.size(), 5U);
  EXPECT_EQ(out.all[4].payload, "m5");
  // One that comes now may not overtake the sixth.
  EXPECT_TRUE(offer(delivery(7)));
  ASSERT_TRUE(it.acknowledge(1, tick, limits, out));
  EXPECT_EQ(out.all[5].payload, "m6");
  ASSERT_TRUE(it.acknowledge(3, tick, limits, out));
  EXPECT_EQ(out.all[6].payload, "m7");
}

TEST_F(terminal_test, refuses_more_frames_than_may_wait) {
  for (uint64_t mid = 1; mid <= 12; ++mid) EXPECT_TRUE(offer(delivery(mid)));
  EXPECT_FALSE(offer(delivery(13)));
}

TEST_F(terminal_test, refuses_more_bytes_than_may_wait) {
  for (uint64_t mid = 1; mid <= 4; ++mid) EXPECT_TRUE(offer(delivery(mid)));
  auto big = delivery(5);
  big.payload.assign(1000, 'x');
  EXPECT_TRUE(offer(big));
  EXPECT_FALSE(offer(delivery(6)));
}

TEST_F(terminal_test, answers_nothing_for_sync_ids_never_sent_old_or_negative) {
  offer(delivery(1));
  for (const int32_t bogus : {0, 2, -1, INT32_MAX, INT32_MIN}) EXPECT_FALSE(it.acknowledge(bogus, tick, limits, out));
  const auto done = it.acknowledge(1, tick, limits, out);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->ref.mid, 1U);
  EXPECT_FALSE(it.acknowledge(1, tick, limits, out));
}

TEST_F(terminal_test, tells_when_the_oldest_unacknowledged_frame_was_written) {
  EXPECT_FALSE(it.oldest_unacked());
  offer(delivery(1));
  tick = 9;
  offer(delivery(2));
  EXPECT_EQ(it.oldest_unacked(), 1U);
  it.acknowledge(1, tick, limits, out);
  EXPECT_EQ(it.oldest_unacked(), 9U);
}

TEST_F(terminal_test, keeps_inbound_frames_until_they_are_confirmed) {
  for (const char* payload : {"a", "b", "c"}) it.accept(90, payload, 0, 0);
  EXPECT_TRUE(it.full(limits));
  EXPECT_TRUE(it.confirm(2));
  ASSERT_EQ(it.kept().size(), 1U);
  EXPECT_EQ(it.kept().front().payload, "c");
  EXPECT_EQ(it.state().next_seq, 3U);
  EXPECT_TRUE(it.confirm(1));  // late and harmless
  EXPECT_TRUE(it.confirm(3));
  EXPECT_EQ(it.state().next_seq, 4U);
}

TEST_F(terminal_test, ignores_confirmations_of_numbers_never_given) {
  it.accept(90, "a", 0, 0);
  EXPECT_FALSE(it.confirm(2));
  EXPECT_EQ(it.unconfirmed(), 1U);
}

TEST_F(terminal_test, tells_a_new_owner_what_waits_as_if_it_were_written) {
  for (uint64_t mid = 1; mid <= 6; ++mid) offer(delivery(mid));
  const auto state = it.state();
  ASSERT_EQ(state.unacked.size(), 6U);
  EXPECT_EQ(state.unacked.back().mid, 6U);
  ASSERT_EQ(state.written.size(), 1U);
  EXPECT_EQ(state.written[0].mid, 6U);
}

TEST_F(terminal_test, does_not_count_receipts_as_written_deliveries) {
  offer(delivery(3, 1, ref_kind::receipt));
  EXPECT_TRUE(it.state().written.empty());
}

TEST_F(terminal_test, forgets_the_conversation_longest_unused) {
  for (const uint64_t conversation : {1, 2, 3}) offer(delivery(1, conversation));
  it.acknowledge(1, tick, limits, out);
  offer(delivery(2, 1));
  it.acknowledge(2, tick, limits, out);
  offer(delivery(1, 4));
  std::set<uint64_t> left;
  for (const auto& ref : it.state().written) left.insert(ref.conversation.hi);
  EXPECT_EQ(left, (std::set<uint64_t>{1, 3, 4}));
}

TEST_F(terminal_test, holds_acknowledgements_that_came_without_an_owner) {
  offer(delivery(1));
  const auto done = it.acknowledge(1, tick, limits, out);
  it.hold(done->ref);
  EXPECT_EQ(it.state().unacked.size(), 1U);
  EXPECT_EQ(it.take_held().size(), 1U);
  EXPECT_TRUE(it.state().unacked.empty());
}

TEST_F(terminal_test, trims_without_forgetting) {
  for (uint64_t mid = 1; mid <= 6; ++mid) offer(delivery(mid));
  it.accept(90, "a", 0, 0);
  it.trim();
  EXPECT_EQ(it.state().unacked.size(), 6U);
  EXPECT_EQ(it.unconfirmed(), 1U);
}

TEST_F(terminal_test, is_small) { EXPECT_LE(sizeof(terminal), 96U); }

/// Random traffic against a simple model: every delivery is written once, in order; the window never exceeds its
/// bound; exactly the unacknowledged ones are told; confirmed frames are gone, others are kept in order.
TEST(terminal_property, holds_under_random_traffic) {
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const terminal_limits limits{.window = 1 + random() % 8,
                                 .waiting_frames = 50,
                                 .waiting_bytes = 4000,
                                 .unconfirmed = 5,
                                 .conversations = 4};
    terminal it;
    written out;
    std::vector<std::string> offered;
    std::map<int32_t, size_t> unacked;  // sync id -> index in offered
    size_t seen = 0, acked = 0;
    uint64_t accepted = 0, confirmed = 0;
    const auto look = [&] {
      for (; seen < out.all.size(); ++seen) {
        ASSERT_EQ(out.all[seen].payload, offered[seen]);
        ASSERT_TRUE(unacked.emplace(out.all[seen].sync_id, seen).second);
      }
    };
    for (int step = 0; step < 400; ++step) {
      switch (random() % 4) {
        case 0: {
          const auto frame = delivery(offered.size() + 1, random() % 6);
          const std::string payload = frame.payload;
          if (it.offer(frame, 0, limits, out)) offered.push_back(payload);
          break;
        }
        case 1:
          if (!unacked.empty()) {
            const auto pick = std::next(unacked.begin(), static_cast<long>(random() % unacked.size()));
            const auto done = it.acknowledge(pick->first, 0, limits, out);
            ASSERT_TRUE(done);
            ASSERT_EQ(done->ref.mid, pick->second + 1);
            unacked.erase(pick);
            ++acked;
          }
          break;
        case 2: ASSERT_EQ(it.accept(90, "p", 0, 0).seq, ++accepted); break;
        default:
          if (accepted > 0) {
            const uint64_t seq = random() % (accepted + 1);
            ASSERT_TRUE(it.confirm(seq));
            confirmed = std::max(confirmed, seq);
          }
      }
      look();
      ASSERT_LE(it.unacked(), limits.window);
      ASSERT_EQ(it.state().unacked.size(), offered.size() - acked);
      ASSERT_EQ(it.state().next_seq, confirmed + 1);
      ASSERT_EQ(it.unconfirmed(), accepted - confirmed);
    }
  }
}

TEST_F(terminal_test, writes_a_delivery_once_that_is_repeated_after_a_bind_while_it_is_unacknowledged) {
  for (uint64_t mid = 1; mid <= 5; ++mid) EXPECT_TRUE(offer(delivery(mid)));
  it.note_rebound();
  for (uint64_t mid = 3; mid <= 6; ++mid) EXPECT_TRUE(offer(delivery(mid)));  // the fifth waits
  EXPECT_EQ(it.unacked(), 4U);
  EXPECT_EQ(it.waiting(), 2U);
  // Acknowledged and sent again: that is for the owner to know, since an older one may come late with good reason.
  ASSERT_TRUE(it.acknowledge(1, tick, limits, out));
  EXPECT_TRUE(offer(delivery(1)));
  EXPECT_EQ(it.waiting(), 2U);
}

TEST_F(terminal_test, counts_a_list_as_written_when_it_is_acknowledged_and_not_before) {
  outbound_frame list = delivery(40);
  list.ref = {ref_kind::batch, {1, 2}, 40};
  EXPECT_TRUE(offer(list));
  EXPECT_TRUE(it.state().written.empty());
  ASSERT_TRUE(it.acknowledge(1, tick, limits, out));
  ASSERT_EQ(it.state().written.size(), 1U);
  EXPECT_EQ(it.state().written[0], (delivery_ref{ref_kind::message, {1, 2}, 40}));
  // One of a room says so, until something of the room comes live.
  list.ref = {ref_kind::batch, {7, 0}, 9};
  EXPECT_TRUE(offer(list));
  EXPECT_EQ(it.state().written.size(), 1U);
  ASSERT_TRUE(it.acknowledge(2, tick, limits, out));
  ASSERT_EQ(it.state().written.size(), 2U);
  EXPECT_EQ(it.state().written[1], (delivery_ref{ref_kind::batch, {7, 0}, 9}));
  outbound_frame live = delivery(9);
  live.ref = {ref_kind::room, {7, 0}, 9};
  EXPECT_TRUE(offer(live));
  EXPECT_EQ(it.unacked(), 0U) << "it was in the list";
  live.ref.mid = 10;
  EXPECT_TRUE(offer(live));
  EXPECT_EQ(it.state().written[1], (delivery_ref{ref_kind::room, {7, 0}, 10}));
}

}  // namespace
}  // namespace tern::gateway

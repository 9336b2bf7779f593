// Both sides of a move against each other: messages lost, doubled, late, damaged; each side gone at each point;
// versions that differ by one.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <set>

#include "libs/handover/source.hpp"
#include "libs/handover/target.hpp"

namespace tern::handover {
namespace {

using std::chrono::milliseconds;

constexpr uint64_t key_of(slot_type slot) { return uint64_t{slot} << 44U | 7; }

placement::range_map map_of(const std::string& owner, uint64_t epoch) {
  return placement::range_map{{{0, 99, owner, epoch}, {100, slot_count - 1, "a", 1}}};
}

v1::State state_of(uint64_t key, const std::string& body, uint32_t format) {
  v1::State out;
  out.set_key(key);
  out.set_body(body);
  out.set_checksum(checksum(body));
  out.set_format(format);
  return out;
}

/// Node a owns slots 0..99 and is to hand them to b. Keys at a: `here`; they stand still when told.
class handover_test : public ::testing::Test, public source_port, public target_port {
 protected:
  static constexpr uint64_t stream = 1;

  handover_test() { make(1, 1); }
  void make(uint32_t a_format, uint32_t b_format) {
    a = std::make_unique<source>(*this, a_format, bounds);
    b = std::make_unique<target>(*this, b_format, bounds);
    b_writes = b_format;
  }
  placement::move_order order_of(uint64_t number) {
    return {number, placement::range_kind::sessions, 0, 99, 1, "b", "address"};
  }
  void order(uint64_t number = 1) { a->order(order_of(number), true, here.size(), now); }

  // ---- source_port ----
  void send(const placement::move_order&, v1::HandoverItem item) override { to_b.push_back(std::move(item)); }
  void freeze(const placement::move_order& what, uint32_t format) override {
    frozen_move = what.move;
    frozen_format = format;
  }
  void thaw(const placement::move_order&, bool all) override {
    if (all) still.clear();
    ++thaws;
  }
  void end(const placement::move_order&) override {
    ended = true;
    still.clear();
  }
  void answer(const placement::move_result& result) override { results.push_back(result); }
  void count(fate what, uint64_t states) override { fates[what] += states; }
  void frozen(std::chrono::nanoseconds) override {}

  // ---- target_port ----
  void send(uint64_t, v1::HandoverReply reply) override { to_a.push_back(std::move(reply)); }
  void decided(std::vector<uint64_t> keys) override { woken.insert(keys.begin(), keys.end()); }

  /// The keys at a stand still and hand over, if they were told to.
  void stand_still(const std::set<uint64_t>& but = {}) {
    const auto number = std::exchange(frozen_move, std::nullopt);
    if (!number) return;
    a->told(*number, here.size(), now);
    for (const uint64_t key : here) {
      if (!but.contains(key) && a->put(*number, state_of(key, "body", frozen_format), now)) still.insert(key);
    }
  }
  bool pass_to_b() {
    if (to_b.empty()) return false;
    auto item = std::move(to_b.front());
    to_b.pop_front();
    b->on_item(stream, item, willing, now);
    return true;
  }
  bool pass_to_a() {
    if (to_a.empty()) return false;
    const auto reply = std::move(to_a.front());
    to_a.pop_front();
    a->on_reply("b", reply, now);
    return true;
  }
  void run() {
    do {
      stand_still();
    } while (pass_to_b() || pass_to_a() || frozen_move);
  }
  /// b has everything, routing knows.
  void hand_over() {
    order();
    run();
    ASSERT_EQ(results.size(), 1U);
    ASSERT_EQ(results[0].code, errc::ok);
  }
  void map_at_a(const std::string& owner, uint64_t epoch) { a->on_map(map_of(owner, epoch), "a", now); }
  void map_at_b(const std::string& owner, uint64_t epoch) { b->on_map(map_of(owner, epoch), "b", now); }
  void later(milliseconds by) {
    now += by;
    a->tick(now);
    b->tick(now);
  }
  found take(uint64_t key) {
    v1::State out;
    return b->take(key, out, now);
  }

  limits bounds;
  clock::time_point now{std::chrono::hours(1)};
  std::unique_ptr<source> a;
  std::unique_ptr<target> b;
  uint32_t b_writes = 1;
  bool willing = true;
  std::set<uint64_t> here{key_of(1), key_of(2), key_of(3)};
  std::set<uint64_t> still;
  std::optional<uint64_t> frozen_move;
  uint32_t frozen_format = 0;
  int thaws = 0;
  bool ended = false;
  std::vector<placement::move_result> results;
  std::map<fate, uint64_t> fates;
  std::set<uint64_t> woken;
  std::deque<v1::HandoverItem> to_b;
  std::deque<v1::HandoverReply> to_a;
};

TEST_F(handover_test, states_are_used_when_the_maps_give_the_range_and_the_source_vouches_for_them) {
  hand_over();
  EXPECT_EQ(results[0].moved, 3U);
  EXPECT_EQ(still.size(), 3U);
  EXPECT_TRUE(b->expects(50));
  EXPECT_FALSE(b->expects(100));
  map_at_b("b", 2);
  EXPECT_EQ(take(key_of(1)), found::wait);
  EXPECT_FALSE(b->expects(50));
  run();
  EXPECT_TRUE(ended);
  EXPECT_EQ(woken, std::set<uint64_t>{key_of(1)});
  EXPECT_EQ(take(key_of(1)), found::state);
  EXPECT_EQ(take(key_of(1)), found::nothing);
  EXPECT_EQ(take(key_of(2)), found::state);
  EXPECT_EQ(fates[fate::used], 2U);
}

TEST_F(handover_test, after_the_claim_the_source_refuses_what_its_own_maps_still_give_it) {
  hand_over();
  map_at_b("b", 2);
  run();
  EXPECT_TRUE(a->away(50));
  EXPECT_FALSE(a->away(100));
  map_at_a("b", 2);
  EXPECT_FALSE(a->away(50));
}

TEST_F(handover_test, a_source_that_stops_waits_until_the_target_has_been_told) {
  EXPECT_FALSE(a->wanted(now));
  hand_over();
  EXPECT_TRUE(a->wanted(now));
  map_at_a("b", 2);
  EXPECT_TRUE(a->wanted(now));
  map_at_b("b", 2);
  run();
  EXPECT_TRUE(a->wanted(now));  // the answer is on its way
  EXPECT_FALSE(a->wanted(now + milliseconds(20)));
}

TEST_F(handover_test, it_does_not_matter_who_sees_the_map_first) {
  hand_over();
  map_at_a("b", 2);
  EXPECT_TRUE(ended);
  EXPECT_EQ(take(key_of(1)), found::wait);  // b's gateway knew before b
  map_at_b("b", 2);
  run();
  EXPECT_EQ(take(key_of(1)), found::state);
}

TEST_F(handover_test, a_key_that_is_not_still_in_time_goes_on) {
  order();
  pass_to_b();
  pass_to_a();
  stand_still({key_of(2)});
  EXPECT_TRUE(results.empty());
  later(bounds.still);
  EXPECT_EQ(thaws, 1);
  EXPECT_EQ(fates[fate::cold], 1U);
  EXPECT_FALSE(a->put(1, state_of(key_of(2), "late", 1), now));
  run();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].moved, 2U);
  map_at_b("b", 2);
  run();
  EXPECT_EQ(take(key_of(2)), found::nothing);
}

TEST_F(handover_test, a_target_that_drains_or_is_full_refuses_and_nothing_stands_still) {
  willing = false;
  order();
  run();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].code, errc::overload);
  EXPECT_EQ(thaws, 0);
  willing = true;
  bounds.states = 2;
  make(1, 1);
  order(2);
  run();
  EXPECT_EQ(results.back().code, errc::overload);
}

TEST_F(handover_test, each_lost_message_ends_with_the_source_going_on) {
  for (size_t lost = 0; lost < 8; ++lost) {
    SCOPED_TRACE(lost);
    make(1, 1);
    results.clear();
    to_a.clear();
    to_b.clear();
    still.clear();
    size_t passed = 0;
    order();
    for (int round = 0; round < 30; ++round) {
      stand_still();
      if (!to_b.empty() && passed++ == lost) {
        to_b.pop_front();
      } else if (!pass_to_b() && !to_a.empty() && passed++ == lost) {
        to_a.pop_front();
      } else {
        pass_to_a();
      }
      later(milliseconds(60));
    }
    ASSERT_EQ(results.size(), 1U);
    // States may be lost without harm: what is not there is rebuilt.
    later(bounds.map);
    EXPECT_TRUE(still.empty());
    EXPECT_FALSE(a->busy());
    map_at_b("b", 2);
    run();
    EXPECT_EQ(take(key_of(1)), found::nothing);
  }
}

TEST_F(handover_test, doubled_and_late_messages_change_nothing) {
  order();
  order();
  const auto twice = [this] {
    if (!to_b.empty()) to_b.push_front(to_b.front());
    if (!to_a.empty()) to_a.push_front(to_a.front());
  };
  for (int i = 0; i < 12; ++i) {
    twice();
    pass_to_b();
    pass_to_b();
    stand_still();
    pass_to_a();
    pass_to_a();
  }
  run();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].moved, 3U);
  EXPECT_EQ(b->parked(), 3U);
  order();  // asked again: answered again
  EXPECT_EQ(results.size(), 2U);
  map_at_b("b", 2);
  twice();
  run();
  EXPECT_EQ(take(key_of(1)), found::state);
  v1::HandoverItem late;
  late.set_move(1);
  late.mutable_cancel();
  b->on_item(stream, late, true, now);
  EXPECT_EQ(take(key_of(2)), found::state);  // it was said to be valid: nothing is taken back
}

TEST_F(handover_test, a_source_that_went_on_does_not_vouch) {
  hand_over();
  later(bounds.map);  // no map came
  EXPECT_TRUE(still.empty());
  to_b.clear();  // and its Cancel was lost
  map_at_b("b", 2);
  EXPECT_EQ(take(key_of(1)), found::wait);
  run();
  EXPECT_EQ(take(key_of(1)), found::nothing);
  EXPECT_EQ(fates[fate::dropped], 3U);
  EXPECT_FALSE(ended);
}

TEST_F(handover_test, a_source_whose_session_died_does_not_vouch) {
  hand_over();
  a->spoil(2, now);
  map_at_b("b", 2);
  run();
  EXPECT_EQ(take(key_of(1)), found::nothing);
}

TEST_F(handover_test, without_a_verdict_in_time_states_are_not_used) {
  hand_over();
  map_at_b("b", 2);
  to_a.clear();  // Claimed is lost, or a is dead
  EXPECT_EQ(take(key_of(1)), found::wait);
  later(bounds.verdict);
  EXPECT_TRUE(woken.contains(key_of(1)));
  EXPECT_EQ(take(key_of(1)), found::nothing);
}

TEST_F(handover_test, the_source_dies_at_any_point_and_the_target_owns_without_states) {
  for (int point = 0; point < 3; ++point) {
    SCOPED_TRACE(point);
    make(1, 1);
    results.clear();
    order();
    if (point == 0) pass_to_b();  // prepared
    if (point > 0) run();         // taken
    if (point == 2) map_at_b("b", 2);
    b->on_down(stream, now);
    to_a.clear();
    to_b.clear();
    if (point < 2) map_at_b("b", 2);
    EXPECT_EQ(take(key_of(1)), found::nothing);
    EXPECT_FALSE(b->expects(1));
    EXPECT_FALSE(b->busy());
  }
}

TEST_F(handover_test, the_target_dies_at_any_point_and_the_source_goes_on) {
  for (int point = 0; point < 4; ++point) {
    SCOPED_TRACE(point);
    make(1, 1);
    results.clear();
    still.clear();
    to_a.clear();
    to_b.clear();
    order();
    if (point > 0) pass_to_b();
    if (point > 1) pass_to_a();
    if (point > 1) stand_still();
    if (point > 2) run();
    a->on_down("b", now);
    EXPECT_TRUE(still.empty());
    EXPECT_FALSE(a->busy());
    ASSERT_EQ(results.size(), 1U);
    EXPECT_EQ(results[0].code, point > 2 ? errc::ok : errc::not_found);
  }
}

TEST_F(handover_test, the_maps_give_the_range_to_somebody_else) {
  hand_over();
  map_at_a("c", 2);
  map_at_b("c", 2);
  EXPECT_TRUE(still.empty());
  EXPECT_EQ(b->parked(), 0U);
}

TEST_F(handover_test, a_range_that_came_and_went_and_came_again_begins_anew) {
  hand_over();
  map_at_b("b", 2);
  run();
  map_at_b("b", 4);  // version 3, another owner's, was never seen here
  EXPECT_EQ(take(key_of(1)), found::nothing);
}

TEST_F(handover_test, damaged_states_are_left_out_and_the_rest_is_used) {
  order();
  pass_to_b();
  pass_to_a();
  stand_still();
  to_b.front().mutable_state()->mutable_body()->append("x");
  run();
  EXPECT_EQ(fates[fate::checksum], 1U);
  map_at_b("b", 2);
  run();
  EXPECT_EQ(take(key_of(1)), found::nothing);
  EXPECT_EQ(take(key_of(2)), found::state);
}

TEST_F(handover_test, versions_that_differ_by_one_move_ranges_both_ways) {
  for (const auto& [ours, theirs] : {std::pair{1U, 0U}, {0U, 1U}, {2U, 1U}, {1U, 2U}}) {
    SCOPED_TRACE(ours);
    make(ours, theirs);
    results.clear();
    hand_over();
    EXPECT_EQ(frozen_format, std::min(ours, theirs));
    map_at_b("b", 2);
    run();
    EXPECT_EQ(take(key_of(1)), found::state);
  }
}

TEST_F(handover_test, a_state_of_a_newer_format_is_left_out) {
  order();
  pass_to_b();
  pass_to_a();
  frozen_format = 2;  // it was told 1
  stand_still();
  run();
  EXPECT_EQ(fates[fate::format], 3U);
  EXPECT_EQ(b->parked(), 0U);
  EXPECT_EQ(results[0].code, errc::ok);
}

TEST_F(handover_test, states_nobody_asks_for_expire) {
  hand_over();
  map_at_b("b", 2);
  run();
  later(bounds.remembered);
  EXPECT_EQ(b->parked(), 0U);
  EXPECT_EQ(fates[fate::dropped], 3U);
  EXPECT_FALSE(b->busy());
}

TEST_F(handover_test, orders_for_what_is_not_ours_or_moves_already_are_refused) {
  a->order(order_of(1), false, 0, now);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].code, errc::wrong_owner);
  order(2);
  order(3);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[1].move, 3U);
  EXPECT_EQ(results[1].code, errc::repeated);
}

TEST_F(handover_test, a_bound_of_bytes_leaves_out_what_is_over_it) {
  bounds.bytes = 6;
  make(1, 1);
  hand_over();
  EXPECT_EQ(b->parked(), 1U);
  EXPECT_EQ(fates[fate::dropped], 2U);
}

}  // namespace
}  // namespace tern::handover

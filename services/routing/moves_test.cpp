// Every way an order can begin and end, with nodes that do what the test says.
#include "services/routing/moves.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "libs/testing/fake_clock.hpp"
#include "services/routing/cluster.hpp"

namespace tern::routing {
namespace {

using phase = move_record::phase;
using std::chrono::milliseconds;

class moving : public ::testing::Test {
 protected:
  static cluster_options options() {
    cluster_options how;
    how.shards = {"a"};
    how.self = {"routing-0", "routing", "addr-routing-0", 1, true};
    return how;
  }
  void join(const std::string& name, uint64_t incarnation = 1, bool wanted = true, bool moves = true,
            const std::string& service = "session") {
    at.members().join({{name, service, "addr-" + name, incarnation, true}, {}, wanted, moves});
  }
  void load(const std::string& name, uint64_t sessions) {
    at.members().report(name, 1, sessions, at.state().version);
  }
  /// What is planned is committed; orders are kept.
  void plan() {
    while (auto next = at.plan()) at.committed(*std::move(next));
    for (auto& each : at.orders()) sent.push_back(std::move(each));
  }
  void pass(milliseconds by) {
    for (; by.count() > 0; by -= milliseconds(100)) {
      time.advance(milliseconds(100));
      for (const auto& name : beating) at.members().renew(name, 1);
      at.tick();
      plan();
    }
  }
  bool answer(const outgoing_order& to, errc code = errc::ok, uint64_t moved = 0) {
    const bool taken = at.on_result(to.node, {to.order.move, code, moved, {}});
    plan();
    return taken;
  }
  /// Answers everything that is asked, until nothing is.
  void answer_all() {
    for (size_t i = 0; i < sent.size(); ++i) answer(sent[i]);
    sent.clear();
  }
  size_t slots_of(const std::string& name) const {
    size_t sum = 0;
    for (const auto& each : at.state().sessions.ranges()) {
      if (each.owner == name) sum += each.last - each.first + 1;
    }
    return sum;
  }
  /// Two nodes with half of the slots each, none of which rests.
  void two() {
    beating = {"s0", "s1"};
    join("s0");
    join("s1");
    pass(milliseconds(300));
    ASSERT_EQ(slots_of("s0"), slot_count / 2);
    ASSERT_TRUE(sent.empty());
  }

  testing::fake_clock time;
  cluster at{time, options(), 7};
  std::vector<outgoing_order> sent;
  std::vector<std::string> beating;
};

TEST_F(moving, a_living_nodes_range_only_changes_its_owner_when_it_has_been_handed_over) {
  beating = {"s0", "s1"};
  join("s0");
  pass(milliseconds(300));
  const auto epoch = at.state().sessions.find(0)->epoch;
  join("s1");
  pass(milliseconds(200));
  EXPECT_TRUE(sent.empty()) << "it settles first";
  pass(milliseconds(200));
  ASSERT_EQ(sent.size(), 1U) << "an idle node hands over all at once";
  const auto& order = sent[0].order;
  EXPECT_EQ(sent[0].node, "s0");
  EXPECT_EQ(order.move, (uint64_t{7} << 32U) + 1);
  EXPECT_EQ(order.epoch, epoch);
  EXPECT_EQ(order.target, "s1");
  EXPECT_EQ(order.address, "addr-s1");
  EXPECT_EQ(order.last - order.first + 1, slot_count / 2);
  EXPECT_EQ(slots_of("s0"), slot_count);
  const auto version = at.state().version;
  EXPECT_TRUE(answer(sent[0]));
  EXPECT_EQ(slots_of("s1"), slot_count / 2);
  EXPECT_EQ(at.state().sessions.find(order.first)->epoch, version + 1);
  EXPECT_EQ(at.moves().done(), 1U);
  EXPECT_EQ(at.moves().ended().front().now, phase::done);
  EXPECT_EQ(at.moves().ended().front().reason, move_reason::join);
  EXPECT_FALSE(answer(sent[0])) << "it is over";
}

TEST_F(moving, pieces_are_sized_by_the_sources_load_and_few_at_once) {
  beating = {"s0", "s1"};
  join("s0");
  pass(milliseconds(300));
  load("s0", 4000);
  join("s1");
  pass(milliseconds(300));
  ASSERT_EQ(sent.size(), 2U);
  for (const auto& each : sent) EXPECT_EQ(each.order.last - each.order.first + 1, slot_count / 8);
  answer(sent[0], errc::ok, 500);
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_NEAR(static_cast<double>(sent[2].order.last - sent[2].order.first + 1), slot_count / 8.0, 64.0)
      << "3500 sessions are left on 7/8 of the slots";
  answer_all();
  EXPECT_EQ(slots_of("s1"), slot_count / 2);
}

TEST_F(moving, one_commit_takes_all_moves_that_are_ready) {
  beating = {"s0", "s1", "s2"};
  join("s0");
  pass(milliseconds(300));
  load("s0", 2000);
  join("s1");
  join("s2");
  pass(milliseconds(300));
  ASSERT_EQ(sent.size(), 2U);
  at.on_result("s0", {sent[0].order.move, errc::ok, 0, {}});
  at.on_result("s0", {sent[1].order.move, errc::ok, 0, {}});
  auto next = at.plan();
  ASSERT_TRUE(next);
  for (const auto& each : sent) {
    EXPECT_EQ(next->sessions.find(each.order.first)->owner, each.order.target);
    EXPECT_EQ(next->sessions.find(each.order.first)->epoch, next->version);
  }
  EXPECT_EQ(at.moves().done(), 0U);
  at.committed(*std::move(next));
  EXPECT_EQ(at.moves().done(), 2U);
}

TEST_F(moving, what_was_not_committed_in_time_is_asked_for_again) {
  two();
  join("s0", 1, false);
  plan();
  ASSERT_EQ(sent.size(), 1U);
  at.on_result("s0", {sent[0].order.move, errc::ok, 0, {}});
  ASSERT_TRUE(at.plan());
  at.uncommitted();
  time.advance(milliseconds(800));
  at.tick();
  ASSERT_TRUE(at.plan()) << "it still stands still";
  at.uncommitted();
  time.advance(milliseconds(100));
  at.tick();
  EXPECT_EQ(at.moves().failed(), 1U);
  sent.clear();
  plan();
  EXPECT_EQ(slots_of("s1"), slot_count / 2);
  ASSERT_EQ(sent.size(), 1U);
  answer(sent[0]);
  EXPECT_EQ(slots_of("s1"), slot_count);
}

TEST_F(moving, an_order_without_answer_is_sent_again_and_given_up_the_third_time) {
  beating = {"s0", "s1"};
  join("s0");
  pass(milliseconds(300));
  join("s1");
  pass(milliseconds(300));
  ASSERT_EQ(sent.size(), 1U);
  pass(milliseconds(2000));
  ASSERT_EQ(sent.size(), 2U);
  EXPECT_EQ(sent[1].order.move, sent[0].order.move);
  pass(milliseconds(3900));
  EXPECT_EQ(sent.size(), 3U);
  EXPECT_EQ(at.moves().failed(), 0U);
  pass(milliseconds(100));
  EXPECT_EQ(at.moves().failed(), 1U);
  EXPECT_EQ(slots_of("s1"), 0U) << "it lives and owns them";
  pass(milliseconds(300));
  ASSERT_EQ(sent.size(), 4U);
  EXPECT_NE(sent[3].order.move, sent[0].order.move);
  EXPECT_FALSE(answer(sent[0])) << "too late";
  EXPECT_TRUE(answer(sent[3]));
  EXPECT_EQ(slots_of("s1"), slot_count / 2);
}

TEST_F(moving, a_draining_node_that_answers_nothing_loses_its_ranges_as_if_it_were_dead) {
  two();
  join("s0", 1, false);
  plan();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(slots_of("s0"), slot_count / 2);
  pass(milliseconds(5900));
  EXPECT_EQ(slots_of("s0"), slot_count / 2);
  pass(milliseconds(200));
  EXPECT_EQ(slots_of("s1"), slot_count);
}

TEST_F(moving, a_draining_nodes_range_goes_at_once_after_three_refusals) {
  two();
  join("s0", 1, false);
  plan();
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(sent.size(), i + 1);
    EXPECT_EQ(slots_of("s1"), slot_count / 2);
    EXPECT_TRUE(answer(sent.back(), errc::overload));
    if (i < 2) {
      EXPECT_EQ(sent.size(), i + 1) << "the target gets a pause";
      pass(milliseconds(1000));
    }
  }
  EXPECT_EQ(slots_of("s1"), slot_count);
}

TEST_F(moving, a_source_that_waited_for_its_target_in_vain_is_not_taken_for_dead) {
  two();
  join("s0", 1, false);
  plan();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_TRUE(answer(sent[0], errc::deadline));
  EXPECT_EQ(slots_of("s1"), slot_count / 2);
  pass(milliseconds(300));
  ASSERT_EQ(sent.size(), 2U);
  answer(sent[1]);
  EXPECT_EQ(slots_of("s1"), slot_count);
}

TEST_F(moving, an_order_given_up_that_still_runs_is_nobodys_fault) {
  two();
  join("s0", 1, false);
  plan();
  for (size_t i = 0; i < 5; ++i) {
    ASSERT_EQ(sent.size(), i + 1);
    EXPECT_TRUE(answer(sent.back(), errc::repeated));
    EXPECT_EQ(slots_of("s1"), slot_count / 2);
    pass(milliseconds(300));
  }
}

TEST_F(moving, a_refused_target_gets_a_pause_that_grows) {
  two();
  join("s2");
  beating.push_back("s2");
  pass(milliseconds(300));
  ASSERT_EQ(sent.size(), 2U);
  answer(sent[0], errc::overload);
  answer(sent[1], errc::not_found);
  sent.clear();
  pass(milliseconds(300));
  EXPECT_TRUE(sent.empty());
  pass(milliseconds(200));
  EXPECT_EQ(sent.size(), 2U);
  answer_all();
  EXPECT_GT(slots_of("s2"), slot_count / 4);
}

TEST_F(moving, a_source_that_dies_or_restarts_loses_the_move) {
  two();
  join("s0", 1, false);
  plan();
  ASSERT_EQ(sent.size(), 1U);
  at.members().leave("s0", 1);
  plan();
  EXPECT_EQ(slots_of("s1"), slot_count);
  EXPECT_TRUE(at.moves().active().empty());
  EXPECT_FALSE(answer(sent[0]));

  sent.clear();
  join("s0");
  pass(milliseconds(300));
  EXPECT_FALSE(sent.empty()) << "what was always s1's does not rest";
  join("s1", 2);
  plan();
  EXPECT_EQ(slots_of("s1"), slot_count / 2) << "it has lost what it knew: what shall go may go at once";
  EXPECT_EQ(at.moves().ended().front().code, errc::cancelled);
}

TEST_F(moving, when_the_target_dies_the_range_goes_elsewhere) {
  two();
  beating = {"s0", "s1", "s2"};
  join("s2");
  pass(milliseconds(300));
  sent.clear();
  // Whatever was under way to s2 is dropped with it, even what is ready.
  ASSERT_FALSE(at.moves().active().empty());
  const auto one = at.moves().active().front();
  at.on_result(one.source, {one.order.move, errc::ok, 0, {}});
  at.members().leave("s2", 1);
  plan();
  EXPECT_TRUE(at.moves().active().empty());
  EXPECT_EQ(slots_of("s2"), 0U);
  EXPECT_TRUE(sent.empty());
}

TEST_F(moving, a_target_that_drains_takes_nothing_more) {
  two();
  join("s2");
  beating.push_back("s2");
  pass(milliseconds(300));
  ASSERT_EQ(sent.size(), 2U);
  join("s2", 1, false);
  plan();
  EXPECT_TRUE(at.moves().active().empty());
  EXPECT_FALSE(answer(sent[0]));
  EXPECT_EQ(slots_of("s2"), 0U);
}

TEST_F(moving, nodes_that_take_no_orders_lose_their_ranges_at_once) {
  beating = {"s0", "s1"};
  join("s0", 1, true, false);
  pass(milliseconds(300));
  join("s1");
  pass(milliseconds(300));
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(slots_of("s1"), slot_count / 2);
}

TEST_F(moving, nodes_that_take_no_prepared_ranges_get_them_at_once) {
  beating = {"s0", "s1"};
  join("s0");
  pass(milliseconds(300));
  join("s1", 1, true, false);
  pass(milliseconds(300));
  EXPECT_TRUE(sent.empty());
  EXPECT_EQ(slots_of("s1"), slot_count / 2);
}

TEST_F(moving, nothing_is_asked_of_a_node_whose_stream_is_down) {
  two();
  join("s2");
  at.members().disconnected("s0", 1);
  pass(milliseconds(300));
  for (const auto& each : sent) EXPECT_EQ(each.node, "s1");
  const auto before = sent.size();
  join("s0");
  plan();
  EXPECT_GT(sent.size(), before);
}

TEST_F(moving, what_has_moved_rests_unless_its_node_drains) {
  two();
  const auto first_epoch = at.state().sessions.find(0)->epoch;
  beating.push_back("s2");
  join("s2");
  pass(milliseconds(300));
  answer_all();
  const auto third = slots_of("s2");
  EXPECT_NEAR(static_cast<double>(third), slot_count / 3.0, 64.0);
  at.members().leave("s1", 1);
  plan();
  EXPECT_EQ(slots_of("s0") + slots_of("s2"), slot_count);
  beating = {"s0", "s2", "s3"};
  join("s3");
  pass(milliseconds(300));
  const auto rests = [&](const outgoing_order& each) { return each.order.epoch > first_epoch; };
  const auto moved_before = std::count_if(sent.begin(), sent.end(), rests);
  answer_all();
  const auto early = slots_of("s3");
  EXPECT_EQ(moved_before, 0);
  EXPECT_LT(early, slot_count / 3 - 64) << "s2 has only what rests";
  pass(milliseconds(29'000));
  EXPECT_TRUE(sent.empty());
  pass(milliseconds(2000));
  answer_all();
  EXPECT_NEAR(static_cast<double>(slots_of("s3")), slot_count / 3.0, 64.0);
  join("s3", 1, false);
  plan();
  EXPECT_FALSE(sent.empty()) << "it drains: nothing rests";
}

TEST_F(moving, an_operator_wakes_what_rests) {
  two();
  beating.push_back("s2");
  join("s2");
  pass(milliseconds(300));
  answer_all();
  beating.push_back("s3");
  at.members().leave("s1", 1);
  plan();
  join("s3");
  pass(milliseconds(300));
  answer_all();
  EXPECT_FALSE(at.preview(at.wanted()).empty());
  at.rebalance();
  EXPECT_TRUE(at.tick());
  plan();
  EXPECT_FALSE(sent.empty());
  answer_all();
  EXPECT_TRUE(at.preview(at.wanted()).empty());
}

TEST_F(moving, pinned_slots_go_where_the_operator_says_and_stay) {
  two();
  intents what;
  add_pin(what, {range_kind::sessions, 0, 6399, "s1"});
  EXPECT_EQ(at.preview(what).front().reason, move_reason::by_hand);
  at.want(what);
  plan();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(sent[0].order.first, 0U);
  answer_all();
  EXPECT_EQ(at.state().sessions.find(0)->owner, "s1");
  EXPECT_EQ(at.state().sessions.find(6399)->owner, "s1");
  EXPECT_EQ(slots_of("s0"), slot_count / 2) << "others make up for it";
  join("s2");
  beating.push_back("s2");
  pass(milliseconds(300));
  answer_all();
  pass(milliseconds(31'000));
  answer_all();
  EXPECT_EQ(at.state().sessions.find(0)->owner, "s1");
  at.members().leave("s1", 1);
  plan();
  EXPECT_TRUE(at.wanted().pins.empty()) << "the node is gone";
}

TEST_F(moving, more_than_its_share_can_be_pinned_to_a_node) {
  two();
  intents what;
  add_pin(what, {range_kind::sessions, 0, slot_count - 65, "s1"});
  at.want(what);
  plan();
  answer_all();
  EXPECT_EQ(slots_of("s1"), slot_count - 64);
  EXPECT_EQ(slots_of("s0"), 64U);
}

TEST_F(moving, a_node_an_operator_drains_gives_all_away_and_gets_it_back_afterwards) {
  two();
  intents what;
  what.drains = {"s0"};
  at.want(what);
  plan();
  ASSERT_FALSE(sent.empty());
  EXPECT_EQ(at.moves().active().front().reason, move_reason::drain);
  answer_all();
  EXPECT_EQ(slots_of("s1"), slot_count);
  EXPECT_FALSE(at.owns_any("s0"));
  pass(milliseconds(31'000));
  at.want({});
  plan();
  answer_all();
  EXPECT_EQ(slots_of("s0"), slot_count / 2);
}

TEST_F(moving, rooms_move_likewise) {
  beating = {"g0", "g1"};
  join("g0", 1, true, true, "group");
  pass(milliseconds(300));
  join("g1", 1, true, true, "group");
  pass(milliseconds(300));
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].order.kind, range_kind::groups);
  answer_all();
  EXPECT_EQ(at.state().groups.find(slot_count - 1)->owner, "g1");
}

TEST_F(moving, an_order_never_spans_two_epochs) {
  two();
  join("s2");
  beating.push_back("s2");
  pass(milliseconds(300));
  answer_all();
  join("s0", 1, false);
  plan();
  for (size_t i = 0; i < sent.size(); ++i) {
    const auto* range = at.state().sessions.find(sent[i].order.first);
    EXPECT_EQ(range->epoch, sent[i].order.epoch);
    EXPECT_GE(range->last, sent[i].order.last);
    answer(sent[i]);
  }
  EXPECT_EQ(slots_of("s0"), 0U);
}

TEST_F(moving, after_a_change_of_leader_nodes_that_are_not_back_yet_are_left_alone) {
  two();
  cluster next{time, options(), 8};
  next.load(at.state());
  next.members().join({{"s1", "session", "addr-s1", 1, true}, {}, false, true});
  EXPECT_FALSE(next.plan());
  EXPECT_TRUE(next.orders().empty()) << "s0 may be gone";
  next.members().join({{"s0", "session", "addr-s0", 1, true}, {}, true, true});
  EXPECT_FALSE(next.plan());
  const auto orders = next.orders();
  ASSERT_EQ(orders.size(), 1U);
  EXPECT_EQ(orders[0].order.move, (uint64_t{8} << 32U) + 1);
}

TEST(pins, are_cut_and_joined) {
  intents what;
  add_pin(what, {range_kind::sessions, 0, 639, "a"});
  add_pin(what, {range_kind::sessions, 640, 1279, "a"});
  EXPECT_EQ(what.pins, (std::vector<pin>{{range_kind::sessions, 0, 1279, "a"}}));
  add_pin(what, {range_kind::sessions, 128, 191, "b"});
  EXPECT_EQ(what.pins.size(), 3U);
  unpin(what, range_kind::groups, 0, slot_count - 1);
  EXPECT_EQ(what.pins.size(), 3U);
  unpin(what, range_kind::sessions, 64, 255);
  EXPECT_EQ(what.pins,
            (std::vector<pin>{{range_kind::sessions, 0, 63, "a"}, {range_kind::sessions, 256, 1279, "a"}}));
}

}  // namespace
}  // namespace tern::routing

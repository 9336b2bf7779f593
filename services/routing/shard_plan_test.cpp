#include "services/routing/shard_plan.hpp"

#include <gtest/gtest.h>

#include <random>

#include "libs/placement/planner.hpp"

namespace tern::routing {
namespace {

class shard_plans : public ::testing::Test {
 protected:
  shard_plans() {
    state.version = 5;
    state.storage = placement::first_storage_map({"a", "b"}, 1);
    for (const auto* name : {"a", "b", "c"}) state.shards.push_back({name, "storage-0", 3});
  }
  /// As if the moves were done and finished.
  void carry_out(const std::vector<shard_move>& moves) {
    for (const auto& each : moves) {
      const auto before = slots_now(state, each.target);
      state.storage = given(state.storage, each.source, each.target, {each.first, each.last}, ++state.version);
      EXPECT_EQ(slots_now(state, each.target), before + each.last - each.first + 1);
    }
  }
  uint64_t all() const {
    uint64_t sum = 0;
    for (const auto& each : state.shards) sum += slots_now(state, each.name);
    return sum;
  }

  meta_state state;
  intents wanted;
};

TEST_F(shard_plans, given_slots_get_the_new_epoch_and_nothing_else_changes) {
  const auto map = given(state.storage, "a", "c", {100, 199}, 9);
  EXPECT_EQ(*map.find(99), (placement::range{0, 99, "a", 1}));
  EXPECT_EQ(*map.find(100), (placement::range{100, 199, "c", 9}));
  EXPECT_EQ(*map.find(200), (placement::range{200, slot_count / 2 - 1, "a", 1}));
  EXPECT_EQ(map.find(slot_count - 1)->owner, "b");
}

TEST_F(shard_plans, a_move_is_one_per_range_of_the_map) {
  carry_out({{0, 100, 199, "a", "c"}, {0, 150, 160, "c", "a"}});
  const auto plan = plan_move(state, wanted, "c", "b", {161, 199});
  ASSERT_TRUE(plan) << plan.error().detail;
  ASSERT_EQ(plan->size(), 1U);
  EXPECT_EQ(plan->front().first, 161U);
  const auto two = plan_move(state, wanted, "a", "b", {50, 99});
  ASSERT_TRUE(two);
  EXPECT_EQ(two->size(), 1U);
}

TEST_F(shard_plans, what_makes_no_sense_is_refused) {
  const auto code = [&](const std::string& from, const std::string& to, slot_span slots) {
    return plan_move(state, wanted, from, to, slots).code();
  };
  EXPECT_EQ(code("a", "x", {0, 1}), errc::not_found);
  EXPECT_EQ(code("x", "a", {0, 1}), errc::not_found);
  EXPECT_EQ(code("a", "a", {0, 1}), errc::bad_parameter);
  EXPECT_EQ(code("a", "b", {1, 0}), errc::bad_parameter);
  EXPECT_EQ(code("a", "b", {0, slot_count}), errc::bad_parameter);
  EXPECT_EQ(code("a", "b", {0, slot_count - 2}), errc::bad_parameter) << "half of them are b's";
  EXPECT_EQ(code("c", "b", {0, slot_count - 1}), errc::unavailable) << "it has none";
  wanted.shards["b"].draining = true;
  EXPECT_EQ(code("a", "b", {0, 1}), errc::unavailable);
  wanted.shards.clear();
  wanted.shard_moves.push_back({1, 0, 9, "a", "c"});
  EXPECT_EQ(code("a", "b", {9, 20}), errc::unavailable);
  EXPECT_TRUE(plan_move(state, wanted, "a", "b", {10, 20}));
  state.shards[1].owner.clear();
  EXPECT_EQ(code("a", "b", {10, 20}), errc::unavailable) << "nobody serves it";
}

TEST_F(shard_plans, all_slots_stand_for_all_that_the_source_has) {
  const auto plan = plan_move(state, wanted, "b", "c", {0, slot_count - 1});
  ASSERT_TRUE(plan) << plan.error().detail;
  ASSERT_EQ(plan->size(), 1U);
  EXPECT_EQ(plan->front().first, slot_count / 2);
  EXPECT_EQ(plan->front().last, slot_count - 1);
}

TEST_F(shard_plans, a_split_gives_the_upper_half) {
  const auto plan = plan_split(state, wanted, "a", "c");
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->size(), 1U);
  EXPECT_EQ(plan->front().first, slot_count / 4);
  EXPECT_EQ(plan->front().last, slot_count / 2 - 1);
  EXPECT_EQ(plan_split(state, wanted, "c", "a").code(), errc::unavailable) << "it has none";
}

TEST_F(shard_plans, a_rebalance_evens_out_and_then_has_nothing_to_do) {
  carry_out(plan_rebalance(state, wanted));
  EXPECT_EQ(all(), slot_count);
  for (const auto& each : state.shards)
    EXPECT_NEAR(static_cast<double>(slots_now(state, each.name)), slot_count / 3.0, 1);
  EXPECT_TRUE(plan_rebalance(state, wanted).empty());
}

TEST_F(shard_plans, what_is_under_way_counts_where_it_goes) {
  wanted.shard_moves = plan_rebalance(state, wanted);
  for (auto& each : wanted.shard_moves) each.move = ++wanted.last_shard_move;
  EXPECT_EQ(slots_now(state, "c"), 0U);
  EXPECT_NEAR(static_cast<double>(slots_then(state, wanted, "c")), slot_count / 3.0, 1);
  EXPECT_TRUE(plan_rebalance(state, wanted).empty());
}

TEST_F(shard_plans, a_drain_empties_a_shard_evenly_into_the_others) {
  carry_out(plan_rebalance(state, wanted));
  const auto plan = plan_drain(state, wanted, "a");
  ASSERT_TRUE(plan) << plan.error().detail;
  carry_out(*plan);
  EXPECT_EQ(slots_now(state, "a"), 0U);
  EXPECT_NEAR(static_cast<double>(slots_now(state, "b")), slot_count / 2.0, 1);
  EXPECT_EQ(all(), slot_count);
  wanted.shards["a"].draining = true;
  EXPECT_TRUE(plan_rebalance(state, wanted).empty()) << "it gets nothing back";
  state.shards = {{"a", "storage-0", 3}};
  EXPECT_EQ(plan_drain(state, wanted, "a").code(), errc::unavailable);
}

TEST_F(shard_plans, any_sequence_keeps_every_slot_on_one_shard) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    const auto& from = state.shards[random() % 3].name;
    const auto& to = state.shards[random() % 3].name;
    const auto first = static_cast<slot_type>(random() % slot_count);
    const auto last = static_cast<slot_type>(std::min<uint64_t>(slot_count - 1, first + random() % 5000));
    if (const auto plan = plan_move(state, wanted, from, to, {first, last})) carry_out(*plan);
    if (round % 50 == 49) {
      if (const auto plan = plan_drain(state, wanted, from)) carry_out(*plan);
      carry_out(plan_rebalance(state, wanted));
    }
    ASSERT_EQ(all(), slot_count);
  }
}

TEST_F(shard_plans, the_way_back_is_the_move_with_its_ends_changed) {
  const auto back = way_back({4, 10, 20, "a", "b"});
  EXPECT_EQ(back.source, "b");
  EXPECT_EQ(back.target, "a");
  EXPECT_EQ(back.back_of, 4U);
  EXPECT_EQ(back.first, 10U);
  EXPECT_EQ(back.last, 20U);
}

}  // namespace
}  // namespace tern::routing

#include "libs/placement/planner.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace tern::placement {
namespace {

std::vector<candidate> named(size_t count, size_t from = 0) {
  std::vector<candidate> all;
  for (size_t i = from; i < from + count; ++i) all.push_back({"node-" + std::to_string(i), {}, false});
  return all;
}

std::map<std::string, size_t> slots_of_owners(const range_map& map) {
  std::map<std::string, size_t> has;
  for (const auto& each : map.ranges()) has[each.owner] += each.last - each.first + 1;
  return has;
}

/// Every slot has an owner among the candidates; the numbers of units differ by one at most.
void expect_even(const range_map& map, const std::vector<candidate>& candidates) {
  const auto has = slots_of_owners(map);
  ASSERT_EQ(has.size(), candidates.size());
  size_t total = 0, least = slot_count, most = 0;
  for (const auto& [owner, slots] : has) {
    total += slots;
    least = std::min(least, slots);
    most = std::max(most, slots);
  }
  EXPECT_EQ(total, slot_count);
  EXPECT_LE(most - least, unit_slots);
  EXPECT_LE(map.ranges().size(), slot_count / unit_slots);
}

struct change {
  size_t moved = 0;       // slots with another owner than before
  size_t kept_epoch = 0;  // slots with the same owner and epoch
  bool epochs_right = true;
};

change compare(const range_map& before, const range_map& after, uint64_t new_epoch) {
  change sum;
  for (slot_type slot = 0; slot < slot_count; slot += unit_slots) {
    const auto* was = before.find(slot);
    const auto* is = after.find(slot);
    const bool moved = was == nullptr || was->owner != is->owner;
    if (moved) sum.moved += unit_slots;
    if (moved && is->epoch != new_epoch) sum.epochs_right = false;
    if (!moved && is->epoch == was->epoch) sum.kept_epoch += unit_slots;
    if (was != nullptr && is->epoch < was->epoch) sum.epochs_right = false;
  }
  return sum;
}

TEST(spread, one_node_gets_everything) {
  const auto map = spread({}, named(1), 1);
  ASSERT_EQ(map.ranges().size(), 1U);
  EXPECT_EQ(map.ranges()[0], (range{0, slot_count - 1, "node-0", 1}));
}

TEST(spread, without_candidates_nothing_changes) {
  const auto map = spread({}, named(2), 1);
  EXPECT_EQ(spread(map, {}, 2), map);
  EXPECT_EQ(spread({}, {}, 2), range_map());
}

TEST(spread, nothing_moves_when_nothing_has_changed) {
  const auto map = spread({}, named(7), 1);
  EXPECT_EQ(spread(map, named(7), 2), map);
}

TEST(spread, a_joining_node_takes_its_share_and_no_more) {
  for (const size_t count : {1U, 2U, 3U, 10U, 99U, 999U}) {
    const auto before = spread({}, named(count), 1);
    const auto after = spread(before, named(count + 1), 2);
    expect_even(after, named(count + 1));
    const auto sum = compare(before, after, 2);
    EXPECT_TRUE(sum.epochs_right);
    EXPECT_LE(sum.moved, slot_count / (count + 1) + unit_slots) << count;
    EXPECT_EQ(sum.kept_epoch, slot_count - sum.moved);
  }
}

TEST(spread, only_the_ranges_of_a_leaving_node_move) {
  for (const size_t count : {2U, 3U, 10U, 100U, 1000U}) {
    const auto before = spread({}, named(count), 1);
    const auto gone = slots_of_owners(before).at("node-0");
    const auto after = spread(before, named(count - 1, 1), 2);
    expect_even(after, named(count - 1, 1));
    const auto sum = compare(before, after, 2);
    EXPECT_TRUE(sum.epochs_right);
    EXPECT_EQ(sum.moved, gone) << count;
  }
}

TEST(spread, a_restarted_node_keeps_its_ranges_with_a_new_epoch) {
  auto nodes = named(3);
  const auto before = spread({}, nodes, 1);
  nodes[1].restarted = true;
  const auto after = spread(before, nodes, 2);
  const auto sum = compare(before, after, 2);
  EXPECT_EQ(sum.moved, 0U);
  for (const auto& each : after.ranges()) EXPECT_EQ(each.epoch, each.owner == "node-1" ? 2U : 1U);
}

TEST(spread, stays_even_and_epochs_grow_over_any_history) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::set<size_t> alive{0};
  range_map map = spread({}, named(1), 1);
  for (uint64_t epoch = 2; epoch < 150; ++epoch) {
    const size_t changes = 1 + random() % (epoch % 10 == 0 ? 300 : 3);
    for (size_t i = 0; i < changes; ++i) {
      const size_t node = random() % 1000;
      if (!alive.erase(node)) alive.insert(node);
    }
    if (alive.empty()) alive.insert(1);
    std::vector<candidate> nodes;
    for (const auto node : alive) nodes.push_back({"node-" + std::to_string(node), {}, random() % 8 == 0});
    const auto next = spread(map, nodes, epoch);
    expect_even(next, nodes);
    EXPECT_TRUE(compare(map, next, epoch).epochs_right);
    map = next;
  }
}

TEST(assign_shards, spreads_by_load_and_preference_and_moves_nothing_that_is_well) {
  const std::vector<shard> fresh{{"a", "", 0}, {"b", "", 0}, {"c", "", 0}, {"d", "", 0}};
  const std::vector<candidate> two{{"s0", {"a", "b", "c", "d"}, false}, {"s1", {"d", "c", "b", "a"}, false}};
  const auto first = assign_shards(fresh, two, 1);
  std::map<std::string, int> load;
  for (const auto& each : first) {
    ++load[each.owner];
    EXPECT_EQ(each.epoch, 1U);
  }
  EXPECT_EQ(load["s0"], 2);
  EXPECT_EQ(load["s1"], 2);
  EXPECT_EQ(first[0].owner, "s0");
  EXPECT_EQ(assign_shards(first, two, 2), first);
}

TEST(assign_shards, a_dead_owners_shards_move_and_a_restarted_owners_get_a_new_epoch) {
  const std::vector<shard> now{{"a", "s0", 1}, {"b", "s1", 1}};
  const auto moved = assign_shards(now, {{"s1", {"a", "b"}, false}}, 2);
  EXPECT_EQ(moved, (std::vector<shard>{{"a", "s1", 2}, {"b", "s1", 1}}));
  const auto fenced = assign_shards(now, {{"s0", {"a"}, true}, {"s1", {"b"}, false}}, 3);
  EXPECT_EQ(fenced, (std::vector<shard>{{"a", "s0", 3}, {"b", "s1", 1}}));
}

TEST(assign_shards, a_shard_nobody_lists_stays) {
  const std::vector<shard> now{{"a", "s0", 1}};
  EXPECT_EQ(assign_shards(now, {{"s1", {"b"}, false}}, 2), now);
  EXPECT_EQ(assign_shards(now, {}, 2), now);
}

TEST(first_storage_map, covers_all_slots_in_the_order_of_the_shards) {
  for (const size_t count : {1U, 2U, 3U, 7U, 1000U}) {
    std::vector<std::string> names;
    for (size_t i = 0; i < count; ++i) names.push_back("shard-" + std::to_string(i));
    const auto map = first_storage_map(names, 1);
    ASSERT_EQ(map.ranges().size(), count);
    EXPECT_EQ(map.ranges().front().first, 0U);
    EXPECT_EQ(map.ranges().back().last, slot_count - 1);
    for (size_t i = 1; i < count; ++i) EXPECT_EQ(map.ranges()[i].first, map.ranges()[i - 1].last + 1);
  }
  EXPECT_TRUE(first_storage_map({}, 1).ranges().empty());
}

}  // namespace
}  // namespace tern::placement

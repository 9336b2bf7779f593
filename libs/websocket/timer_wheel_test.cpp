#include "libs/websocket/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <vector>

namespace tern::websocket {
namespace {

TEST(timer_wheel, expires_at_its_tick_and_once) {
  timer_wheel wheel;
  wheel_node node;
  wheel.set(node, 5);
  int fired = 0;
  wheel.advance(4, [&](wheel_node&) { ++fired; });
  EXPECT_EQ(fired, 0);
  wheel.advance(5, [&](wheel_node& n) { fired += &n == &node ? 1 : 100; });
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(node.linked());
  wheel.advance(2000, [&](wheel_node&) { ++fired; });
  EXPECT_EQ(fired, 1);
}

TEST(timer_wheel, knows_how_many_deadlines_there_are) {
  timer_wheel wheel;
  wheel_node first, second, third;
  EXPECT_EQ(wheel.size(), 0U);
  wheel.set(first, 5);
  wheel.set(second, 5);
  wheel.set(third, 7);
  wheel.set(third, 9);  // moved, not added
  EXPECT_EQ(wheel.size(), 3U);
  std::vector<size_t> left;
  wheel.advance(5, [&](wheel_node& node) {
    if (&node == &first) wheel.set(node, 20);
    left.push_back(wheel.size());
  });
  EXPECT_EQ(left,
            (std::vector<size_t>{3, 2}));  // the one whose turn it is not counted, nor the one before unless set
  wheel.clear(first);
  wheel.clear(first);
  wheel.clear(third);
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(timer_wheel, takes_the_last_of_several_deadlines_and_forgets_a_cleared_one) {
  timer_wheel wheel;
  wheel_node moved;
  wheel_node cleared;
  wheel.set(moved, 3);
  wheel.set(cleared, 3);
  wheel.set(moved, 7);
  wheel.clear(cleared);
  std::vector<wheel_node*> fired;
  wheel.advance(6, [&](wheel_node& n) { fired.push_back(&n); });
  EXPECT_TRUE(fired.empty());
  wheel.advance(7, [&](wheel_node& n) { fired.push_back(&n); });
  EXPECT_EQ(fired, std::vector<wheel_node*>{&moved});
}

TEST(timer_wheel, takes_a_deadline_in_the_past_as_the_next_tick) {
  timer_wheel wheel;
  wheel.advance(100, [](wheel_node&) {});
  wheel_node node;
  wheel.set(node, 3);
  int fired = 0;
  wheel.advance(101, [&](wheel_node&) { ++fired; });
  EXPECT_EQ(fired, 1);
}

TEST(timer_wheel, lets_an_expiry_set_and_clear_other_nodes) {
  timer_wheel wheel;
  wheel_node first;
  wheel_node second;
  wheel.set(first, 5);
  wheel.set(second, 5);
  int fired = 0;
  wheel.advance(5, [&](wheel_node& n) {
    ++fired;
    wheel.clear(second);
    wheel.set(n, 5 + 512);  // the same slot again
  });
  EXPECT_EQ(fired, 1);
  wheel.clear(first);
}

TEST(timer_wheel, misses_nothing_after_a_long_sleep) {
  timer_wheel wheel;
  std::deque<wheel_node> nodes(1000);
  uint64_t due = 0;
  for (auto& node : nodes) wheel.set(node, ++due);
  size_t fired = 0;
  wheel.advance(100'000, [&](wheel_node&) { ++fired; });
  EXPECT_EQ(fired, nodes.size());
}

TEST(timer_wheel, agrees_with_a_sorted_map_on_random_use) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  timer_wheel wheel;
  std::deque<wheel_node> nodes(50);
  std::map<wheel_node*, uint64_t> model;
  uint64_t now = 0;
  for (int step = 0; step < 20000; ++step) {
    auto& node = nodes[random() % nodes.size()];
    switch (random() % 3) {
      case 0: {
        const uint64_t due = now + 1 + random() % 1500;
        wheel.set(node, due);
        model[&node] = due;
        break;
      }
      case 1:
        wheel.clear(node);
        model.erase(&node);
        break;
      default:
        now += random() % 20;
        wheel.advance(now, [&](wheel_node& n) {
          ASSERT_LE(model.at(&n), now);
          model.erase(&n);
        });
        for (const auto& [left, due] : model) ASSERT_GT(due, now);
    }
  }
  for (auto& node : nodes) wheel.clear(node);
}

}  // namespace
}  // namespace tern::websocket

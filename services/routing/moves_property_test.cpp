// Whatever happens to nodes: everything comes to rest evenly, by the least moves, and no limit is ever broken.
#include <gtest/gtest.h>

#include "services/routing/testing/cluster_sim.hpp"

namespace tern::routing {
namespace {

using placement::unit_count;
using std::chrono::milliseconds;
using std::chrono::minutes;
using testing::cluster_sim;
using testing::sim_options;

sim_options options(uint32_t seed) {
  sim_options how;
  how.cluster.shards = {"a"};
  how.cluster.self = {"routing-0", "routing", "addr", 1, true};
  how.seed = seed;
  return how;
}

std::string named(size_t i) { return "s" + std::to_string(1000 + i); }

void expect_well(cluster_sim& at, const std::string& what) {
  EXPECT_TRUE(at.settle(minutes(10))) << what;
  EXPECT_LE(at.imbalance(), 1U) << what;
  for (const auto& each : at.stats().violations) ADD_FAILURE() << what << ": " << each;
}

TEST(moves, a_single_join_or_leave_moves_the_least_and_nothing_twice) {
  for (const double density : {0.0, 0.01, 0.2}) {
    auto how = options(1);
    how.sessions_per_slot = density;
    how.session_time = std::chrono::microseconds(20);
    cluster_sim at(how);
    at.join(named(0));
    expect_well(at, "first");
    for (size_t i = 1; i < 12; ++i) {
      at.reset_stats();
      at.join(named(i));
      expect_well(at, "join " + named(i));
      EXPECT_EQ(at.stats().ordered_units, unit_count / (i + 1)) << i;
      EXPECT_EQ(at.stats().taken_units, 0U);
      EXPECT_EQ(at.most_changes(), 1U);
    }
    for (size_t i = 11; i > 6; --i) {
      at.reset_stats();
      at.drain(named(i));
      expect_well(at, "drain " + named(i));
      EXPECT_LE(at.stats().ordered_units, unit_count / (i + 1) + 1) << i;
      EXPECT_EQ(at.stats().taken_units, 0U);
      EXPECT_EQ(at.most_changes(), 1U);
    }
    at.reset_stats();
    at.kill(named(0));
    expect_well(at, "kill");
    EXPECT_LE(at.stats().taken_units, unit_count / 7 + 1);
    EXPECT_EQ(at.stats().ordered_units, 0U);
    EXPECT_EQ(at.most_changes(), 1U);
  }
}

TEST(moves, nothing_bounces_while_nodes_come_one_after_the_other) {
  cluster_sim at(options(2));
  for (size_t i = 0; i < 30; ++i) {
    at.join(named(i));
    at.run(milliseconds(500));
  }
  expect_well(at, "30 joins in 15 s");
  EXPECT_LE(at.most_changes(), 3U);
}

/// One random history; what is done is in the failure's text.
void live(uint32_t seed) {
  std::mt19937 random(seed);
  auto how = options(seed);
  how.sessions_per_slot = random() % 2 == 0 ? 0.02 : 0.0;
  if (random() % 3 == 0) how.refuse = 0.2;
  if (random() % 4 == 0) how.silent = 0.1;
  if (random() % 4 == 0) how.commit_fails = 0.2;
  how.cluster.moves.per_node = 1 + random() % 4;
  how.cluster.moves.sessions = 100 + random() % 1000;
  cluster_sim at(how);
  std::string history = "seed " + std::to_string(seed) + ":";
  for (size_t i = 0; i < 4; ++i) at.join(named(i));
  at.run(milliseconds(random() % 2000));
  size_t next = 4;
  for (int i = 0; i < 25; ++i) {
    const auto living = at.living();
    const auto any = [&] { return living[random() % living.size()]; };
    const auto kind = random() % 6;
    if (kind < 2 || living.size() < 3) {
      at.join(named(next++));
      history += " join";
    } else if (kind == 2) {
      history += " drain";
      at.drain(any());
    } else if (kind == 3) {
      history += " kill";
      at.kill(any());
    } else if (kind == 4) {
      history += " restart";
      at.restart(any());
    } else {
      history += " rest";
      at.run(milliseconds(random() % 20'000));
    }
    at.run(milliseconds(random() % 1500));
  }
  expect_well(at, history);
  at.reset_stats();
  at.run(minutes(2));
  EXPECT_EQ(at.stats().orders, 0U) << history << ": it does not stay quiet";
  EXPECT_EQ(at.stats().commits, 0U) << history;
}

TEST(moves, any_history_comes_to_rest_evenly_within_the_limits) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    live(seed);
    if (HasFailure()) return;
  }
}

TEST(moves, a_plan_for_a_thousand_nodes_takes_milliseconds) {
  auto how = options(3);
  how.slow_checks = false;
  cluster_sim at(how);
  for (size_t i = 0; i < 1000; ++i) at.join(named(i));
  ASSERT_TRUE(at.settle(minutes(10)));
  at.reset_stats();
  at.join(named(1000));
  ASSERT_TRUE(at.settle(minutes(10)));
  EXPECT_LE(at.stats().ordered_units, unit_count / 1001 + 1);
  EXPECT_LT(at.stats().plan_seconds / static_cast<double>(at.stats().plans), 0.2) << "loaded machines, debug builds";
}

}  // namespace
}  // namespace tern::routing

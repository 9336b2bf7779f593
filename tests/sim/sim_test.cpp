// Some hundred seeds of the simulation, and that each planted bug is found by it.
#include <gtest/gtest.h>

#include "libs/log/log.hpp"
#include "tests/sim/run.hpp"

namespace tern::sim {
namespace {

class sim_test : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { log::init({log::level::off, false, "sim"}); }

  static std::string text_of(const run_result& got) {
    std::string out;
    for (const auto& each : got.violations) out.append("\n  ").append(each);
    return out;
  }
  /// The first of `most` seeds that turns red.
  static uint64_t first_red(planted bug, uint64_t most, bool whole) {
    for (uint64_t seed = 1; seed <= most; ++seed) {
      if (!run({.seed = seed, .bug = bug, .rooms = whole, .routing = whole}).violations.empty()) return seed;
    }
    return 0;
  }
};

TEST_F(sim_test, some_hundred_seeds_keep_the_promise) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const run_options how{.seed = seed};
    const auto got = run(how);
    EXPECT_TRUE(got.violations.empty()) << "seed " << seed << text_of(got) << "\n  replay: " << replay_command(how);
  }
}

TEST_F(sim_test, some_hundred_seeds_keep_it_with_real_routing) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const run_options how{.seed = seed, .routing = true};
    const auto got = run(how);
    EXPECT_TRUE(got.violations.empty()) << "seed " << seed << text_of(got) << "\n  replay: " << replay_command(how);
  }
}

TEST_F(sim_test, a_seed_gives_the_same_run_twice) {
  for (const uint64_t seed : {3, 14, 15, 16, 17}) {
    const run_options how{.seed = seed, .rooms = seed > 15, .routing = seed > 14};
    const auto once = run(how);
    const auto again = run(how);
    EXPECT_EQ(once.digest, again.digest) << "seed " << seed;
    EXPECT_EQ(once.steps, again.steps) << "seed " << seed;
  }
}

class planted_bugs : public sim_test, public ::testing::WithParamInterface<planted> {};

TEST_P(planted_bugs, turn_a_seed_red) { EXPECT_NE(first_red(GetParam(), 100, false), 0U) << to_string(GetParam()); }

INSTANTIATE_TEST_SUITE_P(all, planted_bugs,
                         ::testing::Values(planted::storage_forgets_keys, planted::storage_forgets_outbox,
                                           planted::gateway_forgets_written, planted::deliveries_get_lost,
                                           planted::network_reorders),
                         [](const auto& one) { return std::string(to_string(one.param)); });

/// Those of moves, rooms and routing.
class planted_bugs_of_the_whole : public planted_bugs {};

TEST_P(planted_bugs_of_the_whole, turn_a_seed_red) {
  EXPECT_NE(first_red(GetParam(), 200, true), 0U) << to_string(GetParam());
}

INSTANTIATE_TEST_SUITE_P(all, planted_bugs_of_the_whole,
                         ::testing::Values(planted::gateway_ignores_epochs, planted::session_loses_held,
                                           planted::group_repeats_mid, planted::leader_publishes_early),
                         [](const auto& one) { return std::string(to_string(one.param)); });

}  // namespace
}  // namespace tern::sim

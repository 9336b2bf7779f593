#include "tests/chaos/measure.hpp"

#include <gtest/gtest.h>

namespace tern::chaos {
namespace {

constexpr verify::instant second = 1'000'000'000;

/// A message each 100 ms from `from` to `to`, each delivered after `latency` milliseconds.
void talk(verify::history& into, double from, double to, double latency, const std::string& receiver) {
  for (double at = from; at < to; at += 0.1) {
    verify::send_op sent;
    sent.body = receiver + std::to_string(at);
    sent.invoked = static_cast<verify::instant>(at * second);
    sent.completed = sent.invoked + 1;
    verify::receive_op got;
    got.account = receiver;
    got.body = sent.body;
    got.at = sent.invoked + static_cast<verify::instant>(latency * 1e6);
    into.sends.push_back(sent);
    into.receives.push_back(got);
  }
}

const moments when{second, 10 * second, 12 * second, 20 * second};

TEST(measure_test, an_undisturbed_run_is_well_at_once) {
  verify::history seen;
  talk(seen, 1, 19, 5, "a");
  const auto figures = measure(seen, when);
  EXPECT_EQ(figures.well_after, 0);
  EXPECT_EQ(figures.dropped, 0U);
  EXPECT_NEAR(figures.p99_before, 5, 0.01);
  EXPECT_NEAR(figures.p99_during, 5, 0.01);
  EXPECT_NEAR(figures.wait_max, 5, 0.01);
}

TEST(measure_test, a_receiver_that_waits_is_seen_and_ends_the_recovery) {
  verify::history seen;
  talk(seen, 1, 19, 5, "a");
  talk(seen, 10.5, 10.55, 4000, "b");
  const auto figures = measure(seen, when);
  EXPECT_NEAR(figures.wait_max, 4000, 0.01);
  EXPECT_NEAR(figures.well_after, 4500, 0.01);
  EXPECT_NEAR(figures.p99_before, 5, 0.01);
}

TEST(measure_test, a_message_waits_for_the_last_of_its_receivers) {
  verify::history seen;
  talk(seen, 8, 15, 5, "room");
  auto other = seen.receives;
  for (auto& each : other) {
    each.account = "slow";
    each.at += each.at < when.struck ? 0 : 900'000'000;
  }
  seen.receives.insert(seen.receives.end(), other.begin(), other.end());
  const auto figures = measure(seen, when);
  EXPECT_NEAR(figures.wait_p99, 905, 0.01);
  EXPECT_NEAR(figures.wait_max, 905, 0.01);
}

TEST(measure_test, what_was_on_its_way_when_the_fault_began_waits_too_and_what_was_sent_after_it_does_not) {
  verify::history seen;
  talk(seen, 9.5, 9.55, 6000, "a");
  talk(seen, 10.5, 12, 5, "b");
  talk(seen, 17, 17.05, 800, "c");
  const auto figures = measure(seen, when);
  EXPECT_NEAR(figures.wait_max, 6000, 0.01);
  verify::history late;
  talk(late, 10.5, 12, 5, "b");
  talk(late, 17, 17.05, 800, "c");
  EXPECT_NEAR(measure(late, when).wait_max, 5, 0.01);
}

TEST(measure_test, the_second_arrival_of_a_message_does_not_count) {
  verify::history seen;
  talk(seen, 11, 11.05, 5, "a");
  auto again = seen.receives.front();
  again.at += second;
  seen.receives.push_back(again);
  EXPECT_NEAR(measure(seen, when).wait_max, 5, 0.01);
}

TEST(measure_test, connections_count_as_dropped_only_while_the_case_runs) {
  verify::history seen;
  seen.connections.push_back({"a", "a/0", "a#1", second, 9 * second});
  seen.connections.push_back({"b", "b/0", "b#1", second, 11 * second});
  seen.connections.push_back({"b", "b/0", "b#2", 13 * second, 0});
  seen.connections.push_back({"c", "c/0", "c#1", second, 21 * second});
  const auto figures = measure(seen, when);
  EXPECT_EQ(figures.dropped, 1U);
  EXPECT_NEAR(figures.well_after, 3000, 0.01);
}

TEST(measure_test, violations_are_sorted_by_what_they_mean) {
  const auto broken = assess({{"acknowledged_is_stored", ""},
                              {"acknowledged_is_delivered", ""},
                              {"no_duplicate_on_a_connection", ""},
                              {"connection_order_is_kept", ""},
                              {"progress_is_made", "x"}});
  EXPECT_EQ(broken.lost, 2U);
  EXPECT_EQ(broken.doubled, 1U);
  EXPECT_EQ(broken.reordered, 1U);
  EXPECT_EQ(broken.other, 1U);
  EXPECT_EQ(broken.total(), 5U);
}

TEST(measure_test, quantiles_are_of_the_nearest_rank) {
  EXPECT_EQ(quantile({}, 0.99), 0);
  EXPECT_EQ(quantile({3}, 0.99), 3);
  EXPECT_EQ(quantile({1, 2, 3, 4}, 0.5), 3);
}

}  // namespace
}  // namespace tern::chaos

#include "libs/metrics/metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "libs/metrics/pulled.hpp"

namespace tern::metrics {
namespace {

using ::testing::HasSubstr;

TEST(metrics, are_rendered_with_help_type_and_labels) {
  registry all;
  all.counter("tern_a_total", "things", {{"kind", "x"}}).add(3);
  all.gauge("tern_b", "level").set(2.5);
  all.histogram("tern_c_seconds", "time", latency_buckets()).observe(0.3);
  const auto text = all.render();
  EXPECT_THAT(text,
              HasSubstr("# HELP tern_a_total things\n# TYPE tern_a_total counter\ntern_a_total{kind=\"x\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE tern_b gauge\ntern_b 2.5\n"));
  EXPECT_THAT(text, HasSubstr("tern_c_seconds_bucket{le=\"0.25\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("tern_c_seconds_bucket{le=\"0.5\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tern_c_seconds_count 1\n"));
}

TEST(metrics, asked_for_twice_are_the_same_series) {
  registry all;
  all.counter("tern_a_total", "things", {{"kind", "x"}}).add();
  all.counter("tern_a_total", "things", {{"kind", "x"}}).add();
  all.counter("tern_a_total", "things", {{"kind", "y"}});
  EXPECT_THAT(all.render(), HasSubstr("{kind=\"x\"} 2\n"));
  EXPECT_THAT(all.render(), HasSubstr("{kind=\"y\"} 0\n"));
}

TEST(metrics, declared_twice_differently_are_a_bug) {
  registry all;
  all.counter("tern_a_total", "things");
  EXPECT_THROW(all.counter("tern_a_total", "other things"), std::logic_error);
  all.gauge("tern_b", "level");
  EXPECT_THROW(all.histogram("tern_b", "level", size_buckets()), std::logic_error);
}

TEST(metrics, need_names_that_promtool_accepts) {
  registry all;
  EXPECT_THROW(all.counter("tern_a", "no suffix"), std::logic_error);
  EXPECT_THROW(all.gauge("tern_a_total", "suffix of a counter"), std::logic_error);
  EXPECT_THROW(all.gauge("tern-a", "dash"), std::logic_error);
  EXPECT_THROW(all.gauge("", "nothing"), std::logic_error);
}

TEST(metrics, that_are_read_are_refreshed_at_each_scrape) {
  registry all;
  int scrapes = 0;
  all.on_collect([&] { all.gauge("tern_depth", "late series").set(++scrapes); });
  EXPECT_THAT(all.render(), HasSubstr("tern_depth 1\n"));
  EXPECT_THAT(all.render(), HasSubstr("tern_depth 2\n"));
}

TEST(metrics, that_follow_a_tally_say_what_it_says_at_each_scrape) {
  registry all;
  tally many;
  time_tally waits;
  pulled_counter counted(all.counter("tern_a_total", "things"));
  const std::vector<double> bounds(second_bounds.begin(), second_bounds.end());
  pulled_histogram<second_bounds.size()> times(all.histogram("tern_b_seconds", "time", bounds));
  all.on_collect([&] {
    counted.reach(static_cast<double>(many.read()));
    times.reach(waits);
  });
  many.add(2);
  waits.observe(0.3);
  EXPECT_THAT(all.render(), HasSubstr("tern_a_total 2\n"));
  many.add();
  waits.observe(100);
  const auto text = all.render();
  EXPECT_THAT(text, HasSubstr("tern_a_total 3\n"));
  EXPECT_THAT(text, HasSubstr("tern_b_seconds_bucket{le=\"0.25\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("tern_b_seconds_bucket{le=\"0.5\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tern_b_seconds_bucket{le=\"+Inf\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("tern_b_seconds_sum 100.3\n"));
}

TEST(metrics, fine_buckets_contain_the_usual_ones) {
  const auto& fine = fine_latency_buckets();
  EXPECT_TRUE(std::is_sorted(fine.begin(), fine.end()));
  for (const double bound : latency_buckets()) EXPECT_EQ(std::count(fine.begin(), fine.end(), bound), 1) << bound;
}

TEST(metrics, fine_buckets_are_an_eighth_wide_where_latencies_are) {
  const auto& fine = fine_latency_buckets();
  for (size_t i = 1; i < fine.size(); ++i) {
    EXPECT_GT(fine[i], fine[i - 1] * 1.05) << fine[i];
    if (fine[i - 1] >= .001 && fine[i] <= 1) {
      EXPECT_LT(fine[i], fine[i - 1] * 1.135) << fine[i];
    }
  }
}

TEST(metrics, handles_never_bound_do_nothing) {
  counter().add();
  gauge().set(1);
  histogram().observe(1);
}

}  // namespace
}  // namespace tern::metrics

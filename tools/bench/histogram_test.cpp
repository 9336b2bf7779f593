#include "tools/bench/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace tern::bench {
namespace {

TEST(histogram, percentiles_are_within_two_percent_of_the_sorted_values) {
  std::mt19937_64 random(7);
  std::vector<int64_t> values;
  histogram counted;
  for (int i = 0; i < 100'000; ++i) {
    const auto value = static_cast<int64_t>(std::exp(std::uniform_real_distribution<double>(0, 23)(random)));
    values.push_back(value);
    counted.add(value);
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto exact = static_cast<double>(values[static_cast<size_t>(share * static_cast<double>(values.size()))]);
    EXPECT_NEAR(static_cast<double>(counted.percentile(share)), exact, exact * 0.02 + 1) << share;
  }
  EXPECT_EQ(counted.max(), values.back());
  EXPECT_EQ(counted.count(), values.size());
}

TEST(histogram, extremes_fit) {
  histogram counted;
  counted.add(-5);
  counted.add(0);
  counted.add(INT64_MAX);
  EXPECT_EQ(counted.percentile(0), 0);
  EXPECT_EQ(counted.percentile(1), INT64_MAX);
  EXPECT_EQ(histogram().percentile(0.5), 0);
}

TEST(histogram, merging_adds_the_counts) {
  histogram one;
  histogram other;
  one.add(10);
  other.add(1000);
  one.merge(other);
  EXPECT_EQ(one.count(), 2U);
  EXPECT_EQ(one.percentile(0.5), 10);
  EXPECT_EQ(one.max(), 1000);
}

}  // namespace
}  // namespace tern::bench

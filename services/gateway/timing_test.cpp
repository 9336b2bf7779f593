#include <gtest/gtest.h>

#include "services/gateway/rate.hpp"
#include "services/gateway/wheel.hpp"

namespace tern::gateway {
namespace {

TEST(token_bucket, admits_the_burst_and_then_the_rate) {
  token_bucket bucket;
  bucket.reset(100, 3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(100, 10, 3));
  EXPECT_FALSE(bucket.take(100, 10, 3));
  EXPECT_TRUE(bucket.take(101, 10, 3));  // 10 per second are one per tick
  EXPECT_FALSE(bucket.take(101, 10, 3));
}

TEST(token_bucket, never_holds_more_than_the_burst) {
  token_bucket bucket;
  bucket.reset(1, 2);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(bucket.take(1'000'000, 500, 2));
  EXPECT_FALSE(bucket.take(1'000'000, 500, 2));
}

TEST(token_bucket, admits_everything_without_a_rate) {
  token_bucket bucket;
  bucket.reset(1, 1);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(bucket.take(1, 0, 1));
}

TEST(token_bucket, keeps_fractions_of_slow_rates) {
  token_bucket bucket;
  bucket.reset(0, 1);
  EXPECT_TRUE(bucket.take(0, 1, 1));
  for (uint32_t tick = 1; tick < 10; ++tick) EXPECT_FALSE(bucket.take(tick, 1, 1));
  EXPECT_TRUE(bucket.take(10, 1, 1));
}

TEST(deadline_wheel, gives_ids_at_their_tick) {
  deadline_wheel wheel(16);
  EXPECT_EQ(wheel.add(7, 3), 3U);
  std::vector<std::pair<uint64_t, uint32_t>> fired;
  const auto note = [&](uint64_t id, uint32_t at) { fired.emplace_back(id, at); };
  wheel.advance(2, note);
  EXPECT_TRUE(fired.empty());
  wheel.advance(5, note);
  EXPECT_EQ(fired, (std::vector<std::pair<uint64_t, uint32_t>>{{7, 3}}));
}

TEST(deadline_wheel, gives_far_ids_early_and_past_ones_at_the_next_tick) {
  deadline_wheel wheel(16);
  EXPECT_EQ(wheel.add(1, 1000), 15U);
  wheel.advance(4, [](uint64_t, uint32_t) {});
  EXPECT_EQ(wheel.add(2, 3), 5U);
  size_t fired = 0;
  wheel.advance(15, [&](uint64_t, uint32_t) { ++fired; });
  EXPECT_EQ(fired, 2U);
}

TEST(deadline_wheel, takes_ids_again_while_it_gives_them) {
  deadline_wheel wheel(8);
  wheel.add(1, 1);
  int fired = 0;
  wheel.advance(100, [&](uint64_t id, uint32_t at) {
    ++fired;
    wheel.add(id, at + 10);
  });
  EXPECT_GE(fired, 10);
}

}  // namespace
}  // namespace tern::gateway

// The pace of a drain.
#include "services/gateway/drain.hpp"

#include <gtest/gtest.h>

namespace tern::gateway {
namespace {

using std::chrono::milliseconds;

class pace : public ::testing::Test {
 protected:
  /// Drains `open` connections, which go as soon as they are closed; what each step closed.
  std::vector<size_t> run(milliseconds limit, milliseconds notice, uint64_t least, size_t open) {
    drain_pace it(start, limit, notice, least);
    std::vector<size_t> closed;
    for (now = start; open > 0 && now < start + limit; now += drain_step_length) {
      const auto step = it.next(now, open);
      closed.push_back(std::min(step.most, open));
      if (step.listens) {
        EXPECT_EQ(step.most, 0U);
        listened = now + drain_step_length - start;
      }
      swept = swept || step.all;
      open -= closed.back();
    }
    rate = it.rate();
    left = open;
    return closed;
  }
  static size_t most_in_a_second(const std::vector<size_t>& closed) {
    size_t out = 0;
    for (size_t i = 0; i < closed.size(); ++i) {
      size_t sum = 0;
      for (size_t k = i; k < std::min(i + 10, closed.size()); ++k) sum += closed[k];
      out = std::max(out, sum);
    }
    return out;
  }

  const clock::time_point start{std::chrono::hours{1}};
  clock::time_point now;
  clock::time_point::duration listened{};
  double rate = 0;
  size_t left = 0;
  bool swept = false;
};

TEST_F(pace, is_the_configured_one_when_there_is_time) {
  const auto closed = run(milliseconds{20'000}, milliseconds{200}, 500, 2000);
  EXPECT_EQ(rate, 500);
  EXPECT_EQ(most_in_a_second(closed), 500U);
  EXPECT_EQ(left, 0U);
  EXPECT_FALSE(swept);
  EXPECT_LE(now - start, milliseconds{4400});
}

TEST_F(pace, is_as_fast_as_the_limit_needs) {
  const auto closed = run(milliseconds{10'000}, milliseconds{1000}, 500, 63'000);
  EXPECT_EQ(rate, 10'000);  // 63,000 in 0.7 of 9 s
  EXPECT_LE(most_in_a_second(closed), 10'000U);
  EXPECT_EQ(left, 0U);
  EXPECT_FALSE(swept);
}

TEST_F(pace, closes_less_than_one_connection_per_step_when_it_is_slow) {
  const auto closed = run(milliseconds{60'000}, milliseconds{0}, 3, 30);
  EXPECT_LE(most_in_a_second(closed), 3U);
  EXPECT_EQ(left, 0U);
}

TEST_F(pace, lets_clients_come_for_the_notice_but_no_longer_than_a_quarter_of_the_time) {
  run(milliseconds{8000}, milliseconds{1000}, 500, 10);
  EXPECT_EQ(listened, milliseconds{1000});
  run(milliseconds{8000}, milliseconds{60'000}, 500, 10);
  EXPECT_EQ(listened, milliseconds{2000});
}

TEST_F(pace, closes_the_rest_at_once_before_the_limit) {
  drain_pace it(start, milliseconds{1000}, milliseconds{0}, 1);
  EXPECT_FALSE(it.next(start + milliseconds{800}, 9).all);
  EXPECT_TRUE(it.next(start + milliseconds{850}, 9).all);
  EXPECT_TRUE(drain_pace(start, milliseconds{0}, milliseconds{0}, 1).next(start, 9).all);
}

}  // namespace
}  // namespace tern::gateway

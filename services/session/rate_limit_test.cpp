#include "services/session/rate_limit.hpp"

#include <gtest/gtest.h>

namespace tern::session {
namespace {

using std::chrono::milliseconds;

TEST(rate_limit, lets_a_seconds_worth_through_at_once_and_then_as_many_as_pass_with_time) {
  rate_limit bucket;
  clock::time_point now{std::chrono::seconds(100)};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(bucket.take(now, 10)) << i;
  EXPECT_FALSE(bucket.take(now, 10));
  now += milliseconds(250);
  EXPECT_TRUE(bucket.take(now, 10));
  EXPECT_TRUE(bucket.take(now, 10));
  EXPECT_FALSE(bucket.take(now, 10));
}

TEST(rate_limit, holds_no_more_than_a_second) {
  rate_limit bucket;
  clock::time_point now{std::chrono::seconds(100)};
  EXPECT_TRUE(bucket.take(now, 3));
  now += std::chrono::hours(24);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now, 3));
  EXPECT_FALSE(bucket.take(now, 3));
}

TEST(rate_limit, zero_admits_everything) {
  rate_limit bucket;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(bucket.take({}, 0));
}

}  // namespace
}  // namespace tern::session

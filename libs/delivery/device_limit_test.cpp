#include "libs/delivery/device_limit.hpp"

namespace tern::delivery {
namespace {

constexpr int64_t second = 1'000'000'000;

TEST(device_limit_test, below_the_limits_everybody_is_let_in) {
  const auto out = admit({{1, 0}, {2, 0}}, 1, second, {3, 2, 10 * second});
  EXPECT_TRUE(out.admitted);
  EXPECT_FALSE(out.replaced);
}

TEST(device_limit_test, a_young_terminal_is_not_replaced) {
  EXPECT_FALSE(admit({{1, 0}}, 1, 10 * second, {1, 1, 10 * second}).admitted);
}

TEST(device_limit_test, the_oldest_terminal_makes_room_after_the_interval) {
  const auto out = admit({{1, 5 * second}, {2, 3 * second}, {3, 4 * second}}, 9, 14 * second, {3, 3, 10 * second});
  EXPECT_TRUE(out.admitted);
  EXPECT_EQ(out.replaced, 1U);
}

TEST(device_limit_test, at_the_type_limit_the_oldest_of_that_type_goes) {
  const auto out = admit({{2, 0}, {1, 3 * second}, {1, 2 * second}}, 1, 20 * second, {8, 2, 10 * second});
  EXPECT_TRUE(out.admitted);
  EXPECT_EQ(out.replaced, 2U);
}

TEST(device_limit_test, a_terminal_whose_gateway_is_away_goes_first_whatever_its_age) {
  const auto out = admit({{1, 0}, {1, 19 * second, true}}, 1, 20 * second, {2, 2, 60 * second});
  EXPECT_TRUE(out.admitted);
  EXPECT_EQ(out.replaced, 1U);
}

TEST(device_limit_test, a_limit_of_zero_lets_nobody_in) { EXPECT_FALSE(admit({}, 1, second, {0, 0, 0}).admitted); }

}  // namespace
}  // namespace tern::delivery

// Limits without I/O: rates per address, and how much may be under way.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "services/gateway/addresses.hpp"
#include "services/gateway/load.hpp"

namespace tern::gateway {
namespace {

TEST(address_key, tells_addresses_apart_and_joins_those_of_one_subscriber) {
  EXPECT_NE(address_key("192.0.2.1"), address_key("192.0.2.2"));
  EXPECT_EQ(address_key("2001:db8::1"), address_key("2001:db8::ffff:2"));
  EXPECT_NE(address_key("2001:db8::1"), address_key("2001:db8:0:1::1"));
  EXPECT_NE(address_key("::1"), 0U);
  EXPECT_NE(address_key("0.0.0.1"), address_key("::1"));
  for (const char* none : {"", "localhost", "1.2.3", "1.2.3.4.5", "unix:/x", "::1::2"})
    EXPECT_EQ(address_key(none), 0U);
  EXPECT_EQ(address_key(std::string(1000, '1')), 0U);
}

TEST(address_rates, admit_everything_without_a_rate) {
  address_rates none(0, 0);
  EXPECT_FALSE(none.limits());
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(none.take(1, 1));
}

TEST(address_rates, give_each_address_its_burst_and_rate) {
  address_rates rates(10, 20);
  for (const uint64_t key : {1, 2}) {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(rates.take(key, 100));
    EXPECT_FALSE(rates.take(key, 100));
    EXPECT_TRUE(rates.take(key, 101));
    EXPECT_FALSE(rates.take(key, 101));
    EXPECT_FALSE(rates.take(key, 99));  // another thread's clock is behind
    EXPECT_FALSE(rates.take(key, 101));
  }
}

TEST(address_rates, remember_who_is_over_the_limit_when_many_others_come) {
  address_rates rates(1, 5, 64);  // eight sets
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(rates.take(77, 1));
  EXPECT_FALSE(rates.take(77, 1));
  for (uint64_t other = 1000; other < 11000; ++other) EXPECT_TRUE(rates.take(other, 1));
  EXPECT_FALSE(rates.take(77, 1));
}

TEST(load_guard, lets_in_the_least_without_knowing_the_pace) {
  load_guard guard({.least = 3, .most = 100, .target_ticks = 5});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(guard.admits());
    guard.accepted();
  }
  EXPECT_FALSE(guard.admits());
  guard.done(1);
  EXPECT_TRUE(guard.admits());
}

TEST(load_guard, lets_in_what_is_done_within_the_target) {
  load_guard guard({.least = 10, .most = 100'000, .target_ticks = 5});
  for (int tick = 0; tick < 100; ++tick) {
    for (int i = 0; i < 200; ++i) guard.accepted();
    guard.done(200);
    guard.on_tick();
  }
  EXPECT_NEAR(static_cast<double>(guard.limit()), 1000.0, 5.0);
}

TEST(load_guard, never_lets_in_more_than_the_most) {
  load_guard guard({.least = 10, .most = 500, .target_ticks = 5});
  for (int tick = 0; tick < 100; ++tick) {
    guard.done(1000);
    guard.on_tick();
  }
  EXPECT_EQ(guard.limit(), 500U);
}

TEST(load_guard, forgets_the_pace_slowly_and_work_of_closed_connections_at_once) {
  load_guard guard({.least = 10, .most = 100'000, .target_ticks = 5});
  for (int tick = 0; tick < 50; ++tick) {
    guard.done(1000);
    guard.on_tick();
  }
  const uint64_t busy = guard.limit();
  for (int tick = 0; tick < 30; ++tick) guard.on_tick();  // nothing is done for three seconds
  EXPECT_GT(guard.limit(), busy / 2);
  for (int tick = 0; tick < 2000; ++tick) guard.on_tick();
  EXPECT_EQ(guard.limit(), 10U);
  for (int i = 0; i < 10; ++i) guard.accepted();
  EXPECT_FALSE(guard.admits());
  guard.forgotten(10);
  EXPECT_EQ(guard.under_way(), 0U);
  guard.forgotten(1);  // more than there is: stays at none
  EXPECT_EQ(guard.under_way(), 0U);
}

}  // namespace
}  // namespace tern::gateway

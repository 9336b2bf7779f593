// Limits without I/O: rates per address, and how much may be under way.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "services/gateway/addresses.hpp"
#include "services/gateway/load.hpp"
#include "services/gateway/shed.hpp"

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

TEST(load_guard, lets_less_wait_while_refusals_go_on_and_more_again_when_they_have_ceased) {
  load_guard guard({.least = 10, .most = 100'000, .target_ticks = 5, .standing_ticks = 2});
  const auto tick = [&](uint64_t offered) {
    guard.done(guard.under_way() < 200 ? guard.under_way() : 200);
    for (uint64_t i = 0; i < offered; ++i) {
      if (guard.admits()) guard.accepted();
    }
    guard.on_tick();
  };
  for (int i = 0; i < 100; ++i) tick(200);
  EXPECT_NEAR(static_cast<double>(guard.limit()), 1000.0, 10.0);
  for (int i = 0; i < 4; ++i) tick(100);
  for (int i = 0; i < 4; ++i) tick(1200);  // a burst fills what may wait, and some are refused
  EXPECT_FALSE(guard.standing());
  for (int i = 0; i < 20; ++i) tick(400);
  EXPECT_TRUE(guard.standing());
  EXPECT_NEAR(static_cast<double>(guard.limit()), 400.0, 10.0);
  EXPECT_LE(guard.under_way(), 410U);
  for (int i = 0; i < 9; ++i) tick(150);
  EXPECT_TRUE(guard.standing());
  for (int i = 0; i < 3; ++i) tick(150);
  EXPECT_FALSE(guard.standing());
  EXPECT_GT(guard.limit(), 800U);
}

TEST(load_guard, refuses_nobody_at_its_pace_with_the_lower_target) {
  load_guard guard({.least = 10, .most = 100'000, .target_ticks = 3, .standing_ticks = 2});
  uint64_t refused = 0;
  for (int tick = 0; tick < 200; ++tick) {
    refused = 0;
    guard.done(guard.under_way() < 200 ? guard.under_way() : 200);
    for (uint64_t i = 0; i < (tick < 100 ? 400U : 200U); ++i) {
      if (guard.admits()) {
        guard.accepted();
      } else {
        ++refused;
      }
    }
    guard.on_tick();
  }
  EXPECT_EQ(refused, 0U);
  EXPECT_LE(guard.under_way(), 600U);
}

TEST(overload_answers, are_what_an_encoder_makes_and_made_once) {
  overload_answers answers;
  for (const auto enc : {wire::encoding::thrift, wire::encoding::json}) {
    const std::string& made = answers.of(static_cast<uint8_t>(wire::frame_type::message), enc);
    ASSERT_GT(made.size(), 3U);
    EXPECT_EQ(static_cast<uint8_t>(made[0]), 0x82);            // one binary message
    EXPECT_EQ(static_cast<size_t>(made[1]), made.size() - 2);  // unmasked
    const auto frame = wire::parse_frame(std::string_view(made).substr(2));
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->type, wire::frame_type::ack);
    wire::arena memory;
    const auto ack = wire::decode<wire::tim_ack>(enc, std::string_view(made).substr(3), memory);
    ASSERT_TRUE(ack);
    EXPECT_FALSE(ack->ok);
    EXPECT_EQ(ack->tim_type, static_cast<int8_t>(wire::frame_type::message));
    ASSERT_TRUE(ack->error);
    EXPECT_EQ(ack->error->code, 5104);
    EXPECT_EQ(&answers.of(static_cast<uint8_t>(wire::frame_type::message), enc), &made);
  }
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

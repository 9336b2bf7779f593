#include "libs/actor/wheel.hpp"

#include <gtest/gtest.h>

#include "libs/testing/actor_fixture.hpp"
#include "libs/testing/fake_clock.hpp"

namespace tern::actor {
namespace {

using namespace std::chrono_literals;

class wheel_test : public testing::actor_fixture {
 protected:
  wheel timers{time};
  const caf::actor me{self};
};

TEST_F(wheel_test, rests_as_long_as_it_may_while_nothing_is_due) {
  EXPECT_EQ(timers.rest(25ms, 125ms), 125ms);
  timers.after(5s, me);
  EXPECT_EQ(timers.rest(25ms, 125ms), 125ms);
}

TEST_F(wheel_test, rests_until_the_first_entry_is_due_and_no_shorter_than_asked) {
  timers.after(300ms, me);
  std::chrono::milliseconds waited{0};
  for (auto rest = timers.rest(25ms, 125ms); rest > 25ms; rest = timers.rest(25ms, 125ms)) {
    time.advance(rest);
    waited += rest;
  }
  EXPECT_GE(waited + 25ms, 300ms);
  EXPECT_LE(waited, 428ms);  // due times are rounded up to 128 ms
  time.advance(1s);
  EXPECT_EQ(timers.rest(25ms, 125ms), 25ms);
  timers.turn();
  EXPECT_EQ(timers.rest(25ms, 125ms), 125ms);
}

TEST_F(wheel_test, an_entry_made_just_behind_a_turn_is_not_due_before_the_longest_rest) {
  timers.turn();
  timers.after(idle_tick, me);
  bool poked = false;
  time.advance(timers.rest(25ms, idle_tick) - 1ms);
  timers.turn();
  self->receive([&](poke_atom) { poked = true; }, caf::after(0ms) >> [] {});
  EXPECT_FALSE(poked);
}

}  // namespace
}  // namespace tern::actor

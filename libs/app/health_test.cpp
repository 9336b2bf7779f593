#include "libs/app/health.hpp"

#include <gtest/gtest.h>

namespace tern::app {
namespace {

TEST(health, is_ready_when_started_and_each_condition_holds) {
  health_state state;
  EXPECT_FALSE(state.startup().good);
  EXPECT_FALSE(state.ready().good);
  state.set_started();
  EXPECT_TRUE(state.startup().good);
  EXPECT_TRUE(state.ready().good);
  state.set_ready("database", false, "connection refused");
  EXPECT_FALSE(state.ready().good);
  EXPECT_EQ(state.ready().text, "database: connection refused\n");
  state.set_ready("database", true);
  EXPECT_TRUE(state.ready().good);
}

TEST(health, is_never_ready_again_once_draining) {
  health_state state;
  state.set_started();
  state.set_draining();
  EXPECT_EQ(state.ready().text, "draining\n");
  EXPECT_TRUE(state.startup().good);
}

TEST(health, is_alive_as_long_as_each_probe_says_so) {
  health_state state;
  EXPECT_TRUE(state.live().good);
  bool moving = true;
  state.add_liveness("loop", [&] { return moving; });
  EXPECT_TRUE(state.live().good);
  moving = false;
  EXPECT_EQ(state.live().text, "loop: no sign of life\n");
  state.clear_liveness();
  EXPECT_TRUE(state.live().good);
}

}  // namespace
}  // namespace tern::app

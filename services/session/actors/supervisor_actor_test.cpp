#include "services/session/actors/supervisor_actor.hpp"

#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

class supervisor_actor_test : public session_fixture {
 protected:
  supervisor_actor_test() {
    supervised what;
    what.env = &env;
    what.apply = [this](const placement::snapshot_ptr&) { ++applied; };
    what.sweep = [this] { ++swept; };
    what.busy = [this] { return busy; };
    supervisor = actors.spawn(supervisor_behavior, std::move(what));
    tell_map();
  }
  ~supervisor_actor_test() override { end(supervisor); }

  void tell_map() {
    caf::anon_send(supervisor, map_atom::value, cluster.get());
    settle();
  }
  void tell_gateway(bool up) {
    caf::anon_send(supervisor, gateway_atom::value, streams.back().first, up);
    run();
  }
  void tick() {
    sched.advance_time(std::chrono::milliseconds(25));
    settle();
  }

  caf::actor supervisor;
  int applied = 0;
  int swept = 0;
  bool busy = true;
};

TEST_F(supervisor_actor_test, a_new_map_reaches_the_links_and_ends_actors_of_lost_slots) {
  ASSERT_TRUE(log_on(1, alice));
  EXPECT_EQ(dir.size(), 1U);
  publish("session-1", 2);
  tell_map();
  EXPECT_EQ(applied, 2);
  EXPECT_EQ(dir.size(), 0U);
}

TEST_F(supervisor_actor_test, rests_while_nothing_is_under_way_and_is_prompt_again_behind_it) {
  tick();
  busy = false;
  tick();  // behind this one it rests
  const int before = swept;
  for (int i = 0; i < 4; ++i) tick();
  EXPECT_EQ(swept, before);
  busy = true;
  tick();
  EXPECT_EQ(swept, before + 1);
  tick();
  EXPECT_EQ(swept, before + 2);
}

TEST_F(supervisor_actor_test, another_epoch_of_our_own_range_ends_its_actors) {
  ASSERT_TRUE(log_on(1, alice));
  publish("session-0", 2);
  tell_map();
  EXPECT_EQ(dir.size(), 0U);
}

TEST_F(supervisor_actor_test, an_unchanged_range_keeps_its_actors) {
  ASSERT_TRUE(log_on(1, alice));
  publish("session-0", 1);
  tell_map();
  EXPECT_EQ(dir.size(), 1U);
}

TEST_F(supervisor_actor_test, terminals_of_a_lost_gateway_go_after_the_time_of_grace) {
  tell_gateway(true);
  ASSERT_TRUE(log_on(1, alice));
  tell_gateway(false);
  time.advance(std::chrono::seconds(1));
  tick();
  EXPECT_EQ(metrics.terminals, 1);
  time.advance(std::chrono::seconds(2));
  tick();
  EXPECT_EQ(metrics.terminals, 0);
}

TEST_F(supervisor_actor_test, terminals_of_a_former_gateway_process_go_at_once) {
  tell_gateway(true);
  ASSERT_TRUE(log_on(1, alice));
  attach = connect_gateway(2);
  tell_gateway(true);
  settle();
  EXPECT_EQ(metrics.terminals, 0);
}

TEST_F(supervisor_actor_test, every_tick_sweeps_the_links) {
  tick();
  tick();
  EXPECT_EQ(swept, 2);
}

}  // namespace
}  // namespace tern::session

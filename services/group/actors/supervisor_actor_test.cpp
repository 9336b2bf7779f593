#include "services/group/actors/supervisor_actor.hpp"

#include "services/group/testing/live_fixture.hpp"

namespace tern::group {
namespace {

class group_supervisor_test : public live::live_fixture {
 protected:
  using group_fixture::interest;

  group_supervisor_test() {
    supervised what;
    what.env = &env;
    what.apply = [this](const placement::snapshot_ptr&) { ++applied; };
    what.sweep = [this] { ++swept; };
    what.busy = [this] { return busy; };
    supervisor = actors.spawn(supervisor_behavior, std::move(what));
    tell_map();
    subscribe(first);
  }
  ~group_supervisor_test() override { end(supervisor); }

  void tell_map() {
    caf::anon_send(supervisor, map_message{cluster.get()});
    settle();
  }

  caf::actor supervisor;
  int applied = 0;
  int swept = 0;
  bool busy = true;
};

TEST_F(group_supervisor_test, a_new_map_reaches_the_links_and_ends_rooms_of_lost_slots) {
  publish("group-1", 2);
  tell_map();
  EXPECT_EQ(applied, 2);
  EXPECT_EQ(dir.size(), 0U);
  EXPECT_EQ(metrics.rooms, 0);
}

TEST_F(group_supervisor_test, another_epoch_of_our_own_range_ends_its_rooms) {
  publish("group-0", 2);
  tell_map();
  EXPECT_EQ(dir.size(), 0U);
}

TEST_F(group_supervisor_test, a_room_that_was_made_by_a_newer_map_stays) {
  publish("group-0", 2);
  interest(second, 5);
  settle();
  EXPECT_EQ(second.take(), lines{"#5 ok"});
  tell_map();
  EXPECT_EQ(dir.size(), 1U);
  append(first, 6, "hello");
  settle();
  EXPECT_EQ(second.take(), lines{"1:hello"});
}

TEST_F(group_supervisor_test, an_unchanged_range_keeps_its_rooms) {
  publish("group-0", 1);
  tell_map();
  EXPECT_EQ(dir.size(), 1U);
}

TEST_F(group_supervisor_test, an_older_map_changes_nothing) {
  const auto old = cluster.get();
  publish("group-0", 1);
  tell_map();
  caf::anon_send(supervisor, map_message{old});
  settle();
  EXPECT_EQ(applied, 2);
}

TEST_F(group_supervisor_test, the_end_of_a_stream_reaches_every_room) {
  interest(first, 2, true, other_room);
  settle();
  EXPECT_EQ(metrics.interests, 2);
  const auto stream = state_of<room_state>(dir.find(room)).order().interested().front();
  stream->up = false;
  caf::anon_send(supervisor, stream_gone_message{stream});
  settle();
  EXPECT_EQ(metrics.interests, 0);
}

TEST_F(group_supervisor_test, virtual_rooms_of_lost_slots_end_too) {
  ask(one, create(1));
  publish("group-0", 2);
  tell_map();
  EXPECT_EQ(vrooms.size(), 0U);
  EXPECT_EQ(metrics.live.rooms, 0);
}

TEST_F(group_supervisor_test, the_end_of_a_gateways_stream_reaches_its_virtual_rooms) {
  ask(one, create(1));
  ask(two, live_requests::interest(2));
  EXPECT_EQ(metrics.live.interests, 2);
  const auto stream = state().interested().back();
  stream->up = false;
  caf::anon_send(supervisor, gateway_gone_message{stream});
  settle();
  EXPECT_EQ(metrics.live.interests, 1);
}

TEST_F(group_supervisor_test, every_tick_sweeps_the_links) {
  sched.advance_time(std::chrono::milliseconds(25));
  run();
  sched.advance_time(std::chrono::milliseconds(25));
  run();
  EXPECT_EQ(swept, 2);
}

TEST_F(group_supervisor_test, rests_while_nothing_is_under_way) {
  const auto tick = [&] {
    sched.advance_time(std::chrono::milliseconds(25));
    run();
  };
  busy = false;
  tick();  // behind this one it rests
  const int before = swept;
  for (int i = 0; i < 4; ++i) tick();
  EXPECT_EQ(swept, before);
  busy = true;
  for (int i = 0; i < 2; ++i) tick();
  EXPECT_EQ(swept, before + 2);
}

TEST_F(group_supervisor_test, the_numbers_for_operators_are_right) {
  append(first, 7, "hello");
  settle();
  metrics.refresh();
  const std::string page = registry.render();
  EXPECT_NE(page.find("tern_group_rooms_active 1"), std::string::npos) << page;
  EXPECT_NE(page.find("tern_group_interests 1"), std::string::npos);
  EXPECT_NE(page.find("tern_group_queue_requests 0"), std::string::npos);
  EXPECT_NE(page.find("tern_group_frames_total 1"), std::string::npos);
  EXPECT_NE(page.find("tern_group_commands_total{command=\"append\",result=\"ok\"} 1"), std::string::npos);
  EXPECT_NE(page.find("tern_group_slots_owned 1048576"), std::string::npos) << page;
}

}  // namespace
}  // namespace tern::group

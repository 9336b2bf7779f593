#include "services/group/live/live_actor.hpp"

#include "services/group/testing/live_fixture.hpp"

namespace tern::group::live {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class live_actor_test : public live_fixture {};

// ---- order and fan-out ----

TEST_F(live_actor_test, what_comes_in_one_batch_is_done_in_its_order) {
  post(one, {create(1), push("a"), grant(2, guest), push("b", guest), push("c")});
  run();
  EXPECT_EQ(one.take(), (lines{"#1 ok v1", "1:a", "#2 ok v2", "2:b", "3:c"}));
}

TEST_F(live_actor_test, every_interested_gateway_gets_each_frame_once) {
  ask(one, create(1));
  ask(two, interest(2));
  post(one, {push("a"), push("b")});
  run();
  EXPECT_EQ(one.take(), (lines{"#1 ok v1", "1:a", "2:b"}));
  EXPECT_EQ(two.take(), (lines{"#2 ok v1", "1:a", "2:b"}));
  EXPECT_EQ(counted("tern_group_vroom_frames_in_total"), 2);
  EXPECT_EQ(counted("tern_group_vroom_frames_out_total"), 4);
  EXPECT_EQ(counted("tern_group_vroom_bytes_out_total"), 4);
  EXPECT_EQ(counted("tern_group_vroom_interests"), 2);
}

TEST_F(live_actor_test, rooms_are_apart) {
  ask(one, create(1));
  ask(two, create(2, owner, other_room));
  ask(one, push("a"));
  EXPECT_EQ(two.take(), lines{"#2 ok v1"});
  EXPECT_EQ(vrooms.size(), 2U);
  EXPECT_EQ(counted("tern_group_vrooms"), 2);
}

// ---- links that are full ----

TEST_F(live_actor_test, a_gateway_that_is_full_misses_frames_and_keeps_its_stream) {
  ask(one, create(1));
  ask(two, interest(2));
  two.take();
  two.out->capacity = 1;
  post(one, {push("a"), push("b"), push("c")});
  run();
  EXPECT_EQ(two.take(), lines{"1:a"});
  EXPECT_FALSE(two.out->closed);
  EXPECT_EQ(counted("tern_group_vroom_frames_dropped_total{reason=\"sink\"}"), 2);
  EXPECT_EQ(counted("tern_group_vroom_frames_out_total"), 4);
  two.out->capacity = SIZE_MAX;
  ask(one, push("d"));
  EXPECT_EQ(two.take(), lines{"4:d"});
  EXPECT_EQ(one.take(), (lines{"#1 ok v1", "1:a", "2:b", "3:c", "4:d"}));
}

TEST_F(live_actor_test, a_gateway_that_does_not_take_a_change_loses_its_stream) {
  ask(one, create(1));
  ask(two, interest(2));
  two.out->full = true;
  ask(one, grant(3, guest));
  EXPECT_TRUE(two.out->closed);
  EXPECT_EQ(counted("tern_group_vroom_streams_cut_total"), 1);
  EXPECT_EQ(one.take(), (lines{"#1 ok v1", "#3 ok v2"}));
}

TEST_F(live_actor_test, a_gateway_that_does_not_take_an_answer_loses_its_stream) {
  one.out->full = true;
  ask(one, create(1));
  EXPECT_TRUE(one.out->closed);
}

TEST_F(live_actor_test, answers_of_the_link_itself_are_not_lost_either) {
  publish("group-1", 2);
  one.out->full = true;
  ask(one, create(1));
  EXPECT_TRUE(one.out->closed);
}

// ---- bounds ----

TEST_F(live_actor_test, pushes_above_the_bound_of_a_room_are_dropped_without_a_word) {
  ask(one, create(1));
  one.take();
  const std::string half(options.vroom_queue_bytes / 2, 'x');
  post(one, {push("a" + half), push("b" + half), push("c")});
  EXPECT_GT(counted("tern_group_vroom_queue_bytes"), static_cast<double>(half.size()));
  run();
  ASSERT_EQ(one.out->items.size(), 2U);
  EXPECT_EQ(one.out->items[0].frame().body()[0], 'a');
  EXPECT_EQ(one.out->items[1].frame().body()[0], 'c');
  EXPECT_EQ(counted("tern_group_vroom_frames_dropped_total{reason=\"room_queue\"}"), 1);
  EXPECT_EQ(counted("tern_group_vroom_queue_bytes"), 0);
}

TEST_F(live_actor_test, a_push_larger_than_the_bound_goes_alone) {
  ask(one, create(1));
  one.take();
  ask(one, push(std::string(options.vroom_queue_bytes + 1, 'x')));
  EXPECT_EQ(one.out->items.size(), 1U);
}

class few_rooms_test : public live_fixture {
 protected:
  few_rooms_test() { options.vrooms_per_node = 1; }
};

TEST_F(few_rooms_test, above_the_bound_of_the_node_no_room_is_made) {
  ask(one, create(1));
  ask(one, create(2, owner, other_room));
  EXPECT_EQ(one.take(), (lines{"#1 ok v1", "#2 overload"}));
  ask(one, remove(3));
  ask(one, create(4, owner, other_room));
  EXPECT_EQ(one.take(), (lines{"#3 ok", "gone", "#4 ok v1"}));
  EXPECT_EQ(counted("tern_group_vrooms"), 1);
}

TEST_F(few_rooms_test, a_room_that_comes_from_another_node_is_let_in) {
  ask(one, create(1, owner, other_room));
  ask(two, known_interest(2, 4));
  EXPECT_EQ(two.take(), lines{"#2 ok v4"});
  EXPECT_EQ(counted("tern_group_vrooms_begun_total{how=\"adopted\"}"), 1);
}

TEST_F(few_rooms_test, rooms_nobody_knows_take_no_more_memory_than_a_bound) {
  time.advance(-options.vroom_grace);
  publish("group-0", 2);
  for (uint64_t i = 1; i <= 3; ++i) {
    auto what = interest(i);
    what.set_vroom(i << 50U);
    ask(one, what);
  }
  EXPECT_EQ(one.take(), lines{"#3 overload"});
  EXPECT_EQ(vrooms.size(), 2U);
}

TEST_F(live_actor_test, above_the_bound_of_the_node_commands_are_answered_overload) {
  options.queue_requests = 1;
  post(one, {create(1), create(2, owner, other_room)});
  run();
  EXPECT_EQ(one.take(), (lines{"#2 overload", "#1 ok v1"}));
  EXPECT_EQ(metrics.open, 0);
}

// ---- streams ----

TEST_F(live_actor_test, interest_ends_with_the_stream_and_comes_back_with_the_next) {
  ask(one, create(1));
  ask(two, interest(2));
  detach(two);
  ask(one, push("a"));
  two = attach("gateway-1");
  ask(two, known_interest(3, 1));
  ask(one, push("b"));
  EXPECT_EQ(two.take(), (lines{"#3 ok v1", "2:b"}));
  EXPECT_EQ(metrics.live.interests, 2);
}

// ---- ownership ----

TEST_F(live_actor_test, what_is_not_ours_is_said_to_be_somebody_elses) {
  publish("group-1", 2);
  post(one, {create(1), push("a")});
  run();
  EXPECT_EQ(one.take(), (lines{"#1 wrong_owner", "x11 wrong_owner"}));
  EXPECT_EQ(vrooms.size(), 0U);
  EXPECT_EQ(counted("tern_group_vroom_commands_total{command=\"create\",result=\"wrong_owner\"}"), 1);
}

TEST_F(live_actor_test, a_request_of_another_epoch_is_refused) {
  ask(one, create(1));
  map_epoch = 0;  // as the gateway sees it
  ask(one, push("a"));
  EXPECT_EQ(one.take(), (lines{"#1 ok v1", "x11 wrong_owner"}));
}

TEST_F(live_actor_test, what_was_on_its_way_when_the_lease_ended_is_not_done) {
  ask(one, create(1));
  post(one, {push("a"), grant(2, guest)});
  lease = false;
  run();
  EXPECT_EQ(one.take(), (lines{"#1 ok v1", "x11 wrong_owner", "#2 wrong_owner"}));
}

TEST_F(live_actor_test, without_a_lease_no_room_ends_by_itself) {
  ask(one, create(1));
  one.take();
  lease = false;
  wait(options.vroom_idle);
  EXPECT_EQ(one.take(), lines{});
  lease = true;
  wait(seconds(2));
  EXPECT_EQ(one.take(), lines{"gone"});
}

TEST_F(live_actor_test, a_new_epoch_knows_what_gateways_know) {
  ask(one, create(1));
  ask(one, grant(2, guest));
  one.take();
  publish("group-0", 2);
  ask(two, push("early", guest));  // before the supervisor has come to end the old actor, and before any interest
  EXPECT_EQ(two.take(), lines{});
  ask(one, known_interest(3, 2));
  EXPECT_EQ(one.take(), (lines{"#3 ok v2", "1:early"}));
  EXPECT_EQ(vrooms.size(), 1U);
  EXPECT_EQ(metrics.live.rooms, 1);
  EXPECT_EQ(counted("tern_group_vrooms_ended_total{reason=\"moved\"}"), 1);
}

TEST_F(live_actor_test, after_the_time_of_grace_what_nobody_knows_is_none) {
  publish("group-0", 2);
  ask(one, interest(1));
  ask(one, push("a"));
  EXPECT_EQ(one.take(), lines{});
  wait(options.vroom_grace);
  EXPECT_EQ(one.take(), (lines{"#1 no_such_object", "x11 no_such_object"}));
  EXPECT_EQ(vrooms.size(), 0U);
  EXPECT_EQ(metrics.live.actors, 0);
  EXPECT_EQ(metrics.open, 0);
  EXPECT_EQ(pushes.bytes(), 0U);
}

TEST_F(live_actor_test, later_an_unknown_room_is_none_at_once_and_takes_no_memory) {
  ask(one, interest(1));
  EXPECT_EQ(one.take(), lines{"#1 no_such_object"});
  EXPECT_EQ(vrooms.size(), 0U);
  EXPECT_EQ(metrics.live.actors, 0);
}

TEST_F(live_actor_test, an_actor_whose_range_is_lost_answers_and_ends) {
  publish("group-0", 2);
  ask(one, interest(1));
  publish("group-1", 3);
  vrooms.end_if([](room_id) { return true; });
  run();
  EXPECT_EQ(one.take(), lines{"#1 wrong_owner"});
  EXPECT_EQ(metrics.live.actors, 0);
}

// ---- life ----

TEST_F(live_actor_test, without_traffic_a_room_ends_and_is_forgotten_after_a_while) {
  ask(one, create(1));
  ask(two, interest(2));
  wait(options.vroom_idle - seconds(1));
  ask(one, push("a"));
  wait(options.vroom_idle - seconds(1));
  EXPECT_EQ(two.take(), (lines{"#2 ok v1", "1:a"}));
  wait(seconds(2));
  EXPECT_EQ(two.take(), lines{"gone"});
  EXPECT_EQ(counted("tern_group_vrooms"), 0);
  EXPECT_EQ(counted("tern_group_vrooms_ended_total{reason=\"idle\"}"), 1);
  ask(two, known_interest(3, 1));
  EXPECT_EQ(two.take(), lines{"#3 no_such_object"});
  wait(options.vroom_gone);
  EXPECT_EQ(vrooms.size(), 0U);
  EXPECT_EQ(metrics.live.actors, 0);
}

TEST_F(live_actor_test, a_room_nobody_watches_waits_for_its_owner_as_long) {
  ask(one, create(1));
  detach(one);
  wait(options.vroom_idle - seconds(1));
  EXPECT_EQ(counted("tern_group_vrooms"), 1);
  wait(seconds(2));
  EXPECT_EQ(counted("tern_group_vrooms"), 0);
}

}  // namespace
}  // namespace tern::group::live

// Rooms and virtual rooms on their way to another group node, and from one.
#include "services/group/moves.hpp"

#include "services/group/testing/move_fixture.hpp"

namespace tern::group {
namespace {

using std::chrono::milliseconds;

class group_moves : public move_fixture {
 protected:
  using group_fixture::interest;
  using move_fixture::lines;
};

// ---- a room leaves ----

TEST_F(group_moves, a_quiet_room_is_handed_over_with_its_head) {
  subscribe(first);
  append(first, 2, "hello");
  settle();
  first.take();
  order();
  accept();
  EXPECT_EQ(sent(), (lines{"prepare", "state", "complete 1"}));
  EXPECT_EQ(body_of(handed[0]).room(), room.value);
  EXPECT_EQ(body_of(handed[0]).head(), 1U);
  taken();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].code, errc::ok);
  EXPECT_EQ(results[0].moved, 1U);
  EXPECT_EQ(moved("sent"), 1);
}

TEST_F(group_moves, a_message_under_way_is_finished_first_and_later_ones_wait_for_the_next_owner) {
  subscribe(first);
  append(first, 2, "before");
  order();
  accept();
  append(first, 3, "after");
  EXPECT_EQ(sent(), lines{"prepare"});
  settle();
  EXPECT_EQ(first.take(), (lines{"1:before", "#2 ok 1"}));
  EXPECT_EQ(sent(), (lines{"state", "complete 1"}));
  EXPECT_EQ(body_of(handed[0]).head(), 1U);
  taken();
  claim(2);
  EXPECT_EQ(sent(), lines{"valid"});
  EXPECT_EQ(first.take(), lines{"#3 wrong_owner"});
  EXPECT_EQ(dir.size(), 0U);
  settle();
  EXPECT_EQ(metrics.rooms, 0);
  EXPECT_EQ(metrics.open, 0);
}

TEST_F(group_moves, what_has_been_claimed_is_refused_before_the_maps_say_so) {
  subscribe(first);
  order();
  accept();
  taken();
  claim(2);
  append(first, 3, "late");
  EXPECT_EQ(first.take(), lines{"#3 wrong_owner"});
  EXPECT_EQ(dir.size(), 0U);
}

TEST_F(group_moves, a_room_that_cannot_stand_still_in_time_goes_on) {
  subscribe(first);
  append(first, 2, "slow");
  order();
  accept();
  append(first, 3, "next");
  tick(milliseconds(150));
  EXPECT_EQ(sent(), (lines{"prepare", "complete 0"}));
  EXPECT_EQ(moved("cold"), 1);
  settle();
  EXPECT_EQ(first.take(), (lines{"1:slow", "#2 ok 1", "2:next", "#3 ok 2"}));
}

TEST_F(group_moves, a_room_in_doubt_is_not_handed_over) {
  subscribe(first);
  storage.fail_next(storage::v1::StorageRequest::kRoomAppend, errc::deadline);
  append(first, 2, "lost");
  settle();
  first.take();
  order();
  accept();
  EXPECT_EQ(sent(), (lines{"prepare", "complete 0"}));
  EXPECT_EQ(moved("cold"), 1);
}

TEST_F(group_moves, nothing_comes_of_it_and_the_room_goes_on_as_if_nothing_had_been) {
  subscribe(first);
  order();
  accept();
  taken();
  append(first, 2, "waits");
  EXPECT_EQ(first.take(), lines{});
  tick(milliseconds(1100));
  settle();
  EXPECT_EQ(first.take(), (lines{"1:waits", "#2 ok 1"}));
  sent();
  claim(2);  // too late: what was handed over is no longer true
  EXPECT_EQ(sent(), lines{"invalid"});
}

TEST_F(group_moves, a_target_that_goes_ends_the_wait) {
  subscribe(first);
  order();
  accept();
  append(first, 2, "waits");
  mover.cut();
  run();
  settle();
  EXPECT_EQ(first.take(), (lines{"1:waits", "#2 ok 1"}));
  ASSERT_EQ(results.size(), 1U);
  EXPECT_NE(results[0].code, errc::ok);
}

TEST_F(group_moves, a_target_that_refuses_moves_nothing) {
  subscribe(first);
  order();
  accept(7, errc::overload);
  append(first, 2, "hello");
  settle();
  EXPECT_EQ(first.take(), (lines{"1:hello", "#2 ok 1"}));
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].code, errc::overload);
}

TEST_F(group_moves, what_waits_is_bounded) {
  options.room_queue_requests = 2;
  subscribe(first);
  order();
  accept();
  for (uint64_t call = 2; call < 5; ++call) append(first, call, std::to_string(call));
  EXPECT_EQ(first.take(), lines{"#4 overload"});
  mover.cut();
  run();
  settle();
  EXPECT_EQ(first.take(), (lines{"1:2", "#2 ok 1", "2:3", "#3 ok 2"}));
}

TEST_F(group_moves, an_interest_that_waits_goes_with_its_stream) {
  subscribe(first);
  order();
  accept();
  interest(second, 2);
  disconnect(second);
  mover.cut();
  run();
  settle();
  EXPECT_EQ(metrics.interests, 1);
}

TEST_F(group_moves, the_death_of_a_room_that_was_handed_over_voids_the_move) {
  subscribe(first);
  order();
  accept();
  taken();
  sent();
  end(dir.find(room));
  EXPECT_TRUE(first.out->closed);
  claim(2);
  EXPECT_EQ(sent(), (lines{"cancel", "invalid"}));
}

TEST_F(group_moves, rooms_nobody_has_asked_the_head_of_take_nothing_along) {
  append(first, 2, "hello");
  settle();
  order();
  accept();
  EXPECT_EQ(sent(), (lines{"prepare", "complete 0"}));
  EXPECT_EQ(moved("cold"), 0);
}

// ---- a room comes ----

TEST_F(group_moves, a_room_goes_on_where_the_former_owner_stopped) {
  stored_elsewhere("one");
  new_map("group-1", 2);
  incoming({state_of_room(room, 1)});
  time.advance(milliseconds(10));
  new_map("group-0", 3);
  interest(first, 1);
  EXPECT_EQ(first.take(), lines{});  // until the former owner has said that it counts
  verdict(true);
  EXPECT_EQ(first.take(), lines{"#1 ok 1"});  // storage was not asked
  append(first, 2, "two");
  settle();
  EXPECT_EQ(first.take(), (lines{"2:two", "#2 ok 2"}));
  EXPECT_EQ(moved("used"), 1);
}

TEST_F(group_moves, a_state_that_does_not_count_is_not_used) {
  for (const bool silent : {false, true}) {
    const uint64_t epoch = map_epoch;
    stored_elsewhere("more " + std::to_string(epoch));
    new_map("group-1", epoch + 1);
    incoming({state_of_room(room, 99)}, epoch);
    new_map("group-0", epoch + 2);
    interest(first, 1);
    if (silent) {
      tick(milliseconds(150));
    } else {
      verdict(false, epoch);
    }
    EXPECT_EQ(first.take(), lines{});
    settle();
    EXPECT_EQ(first.take(), lines{"#1 ok " + std::to_string(silent ? 2 : 1)});
  }
}

TEST_F(group_moves, a_source_that_dies_leaves_a_takeover) {
  stored_elsewhere("one");
  new_map("group-1", 2);
  incoming({state_of_room(room, 99)});
  new_map("group-0", 3);
  interest(first, 1);
  mover.cut_source();
  run();
  settle();
  EXPECT_EQ(first.take(), lines{"#1 ok 1"});
}

TEST_F(group_moves, damaged_states_are_as_none) {
  stored_elsewhere("one");
  auto torn = state_of_room(room, 99);
  torn.set_body(torn.body() + "x");
  handover::v1::RoomState other;
  other.set_room(other_room.value);
  other.set_head(99);
  auto newer = state_of_room(room, 99);
  newer.set_format(state_format + 1);
  auto noise = state_of_room(room, 99);
  noise.set_body("\x0a\xff\xff\xff\xff\xff\xff");
  noise.set_checksum(handover::checksum(noise.body()));
  handover::v1::RoomState vroom_there;
  vroom_there.set_room(room.value);
  vroom_there.mutable_live()->set_owner(3);
  const states all{torn, state_of_body(room, other), newer, noise, state_of_body(room, vroom_there)};
  for (size_t i = 0; i < all.size(); ++i) {
    const uint64_t epoch = map_epoch;
    new_map("group-1", epoch + 1);
    incoming({all[i]}, epoch);
    new_map("group-0", epoch + 2);
    verdict(true, epoch);
    interest(first, i + 1);
    settle();
    EXPECT_EQ(first.take(), lines{"#" + std::to_string(i + 1) + " ok 1"}) << i;
  }
}

TEST_F(group_moves, requests_for_a_range_on_its_way_wait_for_the_maps) {
  new_map("group-1", 2);
  incoming({state_of_room(room, 0)});
  map_epoch = 3;  // the session node has seen the new map already
  interest(first, 1);
  append(first, 2, "early");
  EXPECT_EQ(first.take(), lines{});
  new_map("group-0", 3);
  verdict(true);
  settle();
  EXPECT_EQ(first.take(), (lines{"#1 ok", "1:early", "#2 ok 1"}));
}

TEST_F(group_moves, what_waits_for_the_maps_is_refused_when_they_do_not_come) {
  new_map("group-1", 2);
  incoming({state_of_room(room, 0)});
  map_epoch = 3;
  interest(first, 1);
  time.advance(milliseconds(1000));
  lot.turn();
  EXPECT_EQ(first.take(), lines{"#1 wrong_owner"});
  map_epoch = 2;  // as the owner before has it
  interest(first, 2);
  EXPECT_EQ(first.take(), lines{"#2 wrong_owner"});
}

TEST_F(group_moves, a_node_that_drains_takes_no_ranges) {
  willing = false;
  new_map("group-1", 2);
  incoming({state_of_room(room, 0)});
  ASSERT_FALSE(mover.from->items.empty());
  EXPECT_EQ(mover.from->items.front().prepared().code(), static_cast<int32_t>(errc::overload));
}

// ---- virtual rooms ----

TEST_F(group_moves, a_virtual_room_takes_owner_rights_and_number_along) {
  ask(one, create(1));
  ask(one, grant(2, guest));
  ask(one, push("a"));
  order();
  accept();
  ASSERT_EQ(sent(), (lines{"prepare", "state", "complete 1"}));
  const auto state = body_of(handed[0]).live();
  EXPECT_EQ(state.owner(), owner);
  EXPECT_EQ(state.domain(), "d");
  EXPECT_EQ(state.version(), 2U);
  EXPECT_EQ(state.seq(), 1U);
  ASSERT_EQ(state.granted_size(), 1);
  EXPECT_EQ(state.granted(0), guest);
}

TEST_F(group_moves, frames_go_on_and_commands_wait_while_a_virtual_room_stands_still) {
  ask(one, create(1));
  one.take();
  order();
  accept();
  ask(one, push("a"));
  EXPECT_EQ(one.take(), live::lines{"1:a"});
  ask(one, grant(2, guest));
  ask(one, push("b"));  // behind the grant
  EXPECT_EQ(one.take(), live::lines{});
  mover.cut();
  run();
  EXPECT_EQ(one.take(), (live::lines{"#2 ok v2", "2:b"}));
}

TEST_F(group_moves, a_virtual_room_goes_on_with_its_rights_and_waits_for_its_viewers) {
  ask(one, create(1));
  ask(one, grant(2, guest));
  ask(one, push("a"));
  order();
  accept();
  sent();
  taken();
  claim(2);
  new_map("group-1", 2);
  one.take();
  incoming({handed[0]});
  new_map("group-0", 3);
  verdict(true);
  ask(one, push("b", guest));  // before anybody has come
  ask(two, known_interest(3, 2));
  ask(one, known_interest(4, 2));
  EXPECT_EQ(two.take(), live::lines{"#3 ok v2"});
  EXPECT_EQ(one.take(), live::lines{"#4 ok v2"});
  wait(options.vroom_settle);
  EXPECT_EQ(two.take(), live::lines{"2:b"});
  EXPECT_EQ(one.take(), live::lines{"2:b"});
  EXPECT_EQ(counted("tern_group_vrooms"), 1);
}

TEST_F(group_moves, an_ended_virtual_room_stays_ended) {
  ask(one, create(1));
  ask(one, remove(2));
  order();
  accept();
  sent();
  taken();
  claim(2);
  new_map("group-1", 2);
  one.take();
  incoming({handed[0]});
  new_map("group-0", 3);
  verdict(true);
  ask(two, known_interest(3, 1));  // it was away and missed the end
  EXPECT_EQ(two.take(), live::lines{"#3 no_such_object"});
}

TEST_F(group_moves, a_virtual_room_whose_state_is_damaged_comes_back_by_what_gateways_know) {
  new_map("group-1", 2);
  handover::v1::RoomState bad;
  bad.set_room(vroom.value);
  bad.mutable_live()->set_owner(owner);  // without a version
  incoming({state_of_body(vroom, bad)});
  new_map("group-0", 3);
  verdict(true);
  ask(one, push("early"));
  ask(two, known_interest(3, 2));
  EXPECT_EQ(two.take(), (live::lines{"#3 ok v2", "1:early"}));
}

TEST_F(group_moves, a_push_that_waits_for_a_move_is_refused_when_the_range_has_gone) {
  ask(one, create(1));
  one.take();
  order();
  accept();
  taken();
  ask(one, grant(2, guest));
  ask(one, push("a"));
  claim(2);
  EXPECT_EQ(one.take(), (live::lines{"#2 wrong_owner", "x11 wrong_owner"}));
  EXPECT_EQ(pushes.bytes(), 0U);
}

TEST_F(group_moves, nothing_ends_in_a_virtual_room_that_was_handed_over) {
  ask(one, create(1));
  one.take();
  order();
  accept();
  wait(options.vroom_idle);
  EXPECT_EQ(one.take(), live::lines{});
  EXPECT_EQ(counted("tern_group_vrooms"), 1);
}

}  // namespace
}  // namespace tern::group

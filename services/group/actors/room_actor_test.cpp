#include "services/group/testing/group_fixture.hpp"

namespace tern::group {
namespace {

using storage::v1::StorageRequest;

class room_actor_test : public group_fixture {};

// ---- order ----

TEST_F(room_actor_test, a_message_goes_to_every_interested_node_and_is_answered_after_its_frame) {
  subscribe(first);
  subscribe(second);
  append(first, 7, "hello");
  settle();
  EXPECT_EQ(first.take(), (lines{"1:hello", "#7 ok 1"}));
  EXPECT_EQ(second.take(), lines{"1:hello"});
}

TEST_F(room_actor_test, a_frame_says_who_when_and_what) {
  subscribe(first);
  auto what = append_of(7, "hello");
  what.mutable_append()->set_accepted_ns(55);
  send(first, std::move(what));
  settle();
  ASSERT_TRUE(first.out->items[0].has_frame());
  const v1::RoomFrame& frame = first.out->items[0].frame();
  EXPECT_EQ(frame.room(), room.value);
  EXPECT_EQ(frame.sender(), alice.value);
  EXPECT_EQ(frame.timestamp_ns(), storage.time_ns);
  EXPECT_EQ(frame.accepted_ns(), 55);
}

TEST_F(room_actor_test, pipelined_messages_keep_their_order) {
  subscribe(second);
  std::vector<v1::GroupRequest> batch;
  for (uint64_t i = 1; i <= 5; ++i) batch.push_back(append_of(i, "m" + std::to_string(i)));
  first.in->on_items(batch);
  run();
  EXPECT_EQ(storage.waiting(), 5U);
  storage.answer(2);
  run();
  EXPECT_EQ(second.take(), (lines{"1:m1", "2:m2"}));
  settle();
  EXPECT_EQ(second.take(), (lines{"3:m3", "4:m4", "5:m5"}));
  EXPECT_EQ(first.take(), (lines{"#1 ok 1", "#2 ok 2", "#3 ok 3", "#4 ok 4", "#5 ok 5"}));
}

TEST_F(room_actor_test, nobody_interested_means_an_answer_and_nothing_else) {
  append(first, 7, "hello");
  settle();
  EXPECT_EQ(first.take(), lines{"#7 ok 1"});
  EXPECT_EQ(second.take(), lines{});
}

TEST_F(room_actor_test, what_storage_refuses_is_answered_so_and_goes_to_nobody) {
  subscribe(second);
  send(first, append_of(7, "hello", "k", account_id{99}));
  settle();
  EXPECT_EQ(first.take(), lines{"#7 permission_denied"});
  EXPECT_EQ(second.take(), lines{});
}

TEST_F(room_actor_test, a_recall_takes_the_way_of_a_message) {
  subscribe(second);
  append(first, 1, "oops");
  recall(first, 2, 1);
  settle();
  EXPECT_EQ(first.take(), (lines{"#1 ok 1", "#2 ok 2"}));
  EXPECT_EQ(second.take(), (lines{"1:oops", "2>1"}));
  recall(first, 3, 1);
  settle();
  EXPECT_EQ(second.take(), lines{});
}

TEST_F(room_actor_test, a_request_without_a_command_is_answered) {
  send(first, request(9));
  EXPECT_EQ(first.take(), lines{"#9 bad_interface"});
}

TEST_F(room_actor_test, a_room_is_made_and_joined) {
  auto make = request(1, room_id{77});
  make.mutable_create()->set_founder(founder.value);
  make.mutable_create()->set_kind(storage::v1::ROOM_OPEN);
  send(first, std::move(make));
  auto join = request(2, room_id{77});
  join.mutable_change()->set_actor(alice.value);
  send(first, std::move(join));
  settle();
  EXPECT_EQ(first.take(), (lines{"#1 ok", "#2 ok"}));
  EXPECT_EQ(storage.bits_in(room_id{77}, alice), uint32_t{storage::v1::ROOM_MEMBER});
}

// ---- messages of the moment ----

TEST_F(room_actor_test, a_message_of_the_moment_goes_to_all_interested_and_nowhere_else) {
  subscribe(first);
  subscribe(second);
  send(first, live_of(7, "now"));
  EXPECT_EQ(second.out->items.front().frame().sender(), alice.value);
  EXPECT_EQ(second.out->items.front().frame().accepted_ns(), 55);
  EXPECT_EQ(second.out->items.front().frame().mid(), 0U);
  EXPECT_EQ(first.take(), (lines{"live:now", "#7 ok"}));
  EXPECT_EQ(second.take(), lines{"live:now"});
  EXPECT_EQ(storage.waiting(), 0U);
}

TEST_F(room_actor_test, a_message_of_the_moment_has_no_place_among_the_stored) {
  subscribe(second);
  append(first, 1, "one");
  send(first, live_of(2, "now"));
  append(first, 3, "two");
  settle();
  EXPECT_EQ(second.take(), (lines{"live:now", "1:one", "2:two"}));
  EXPECT_EQ(first.take(), (lines{"#2 ok", "#1 ok 1", "#3 ok 2"}));
}

TEST_F(room_actor_test, nobody_interested_hears_nothing_and_the_room_leaves) {
  send(first, live_of(7, "now"));
  EXPECT_EQ(first.take(), lines{"#7 ok"});
  pass(options.linger + std::chrono::milliseconds(256));
  EXPECT_EQ(dir.size(), 0U);
}

TEST_F(room_actor_test, a_node_that_is_full_misses_a_message_of_the_moment_and_keeps_its_stream) {
  subscribe(first);
  subscribe(second);
  second.out->full = true;
  send(first, live_of(7, "now"));
  second.out->full = false;
  EXPECT_FALSE(second.out->closed);
  append(first, 8, "one");
  settle();
  EXPECT_EQ(second.take(), lines{"1:one"});
}

TEST_F(room_actor_test, a_message_of_the_moment_for_another_owner_is_not_passed_on) {
  subscribe(second);
  auto late = live_of(1, "late");
  late.set_epoch(0);
  send(first, std::move(late));
  EXPECT_EQ(first.take(), lines{"#1 wrong_owner"});
  EXPECT_EQ(second.take(), lines{});
}

// ---- gaps and duplicates ----

TEST_F(room_actor_test, a_message_whose_answer_was_lost_goes_out_before_the_next_one) {
  subscribe(second);
  storage.lose_next(StorageRequest::kRoomAppend);
  append(first, 1, "lost");
  settle();
  EXPECT_EQ(first.take(), lines{"#1 deadline"});
  append(first, 2, "next");
  settle();
  EXPECT_EQ(second.take(), (lines{"1:lost", "2:next"}));
  EXPECT_EQ(first.take(), lines{"#2 ok 2"});
}

TEST_F(room_actor_test, a_message_whose_answer_was_lost_goes_out_by_itself_after_a_while) {
  subscribe(second);
  storage.lose_next(StorageRequest::kRoomAppend);
  append(first, 1, "lost");
  settle();
  EXPECT_EQ(second.take(), lines{});
  pass(std::chrono::milliseconds(500));
  EXPECT_EQ(second.take(), lines{"1:lost"});
}

TEST_F(room_actor_test, what_is_stored_long_after_its_answer_was_given_up_is_found_too) {
  subscribe(second);
  storage.fail_next(StorageRequest::kRoomAppend, errc::deadline);
  append(first, 1, "slow");
  settle();
  pass(std::chrono::milliseconds(500));
  pass(std::chrono::milliseconds(1000));
  EXPECT_EQ(second.take(), lines{});
  stored_elsewhere("slow");
  for (int i = 0; i < 4; ++i) pass(std::chrono::milliseconds(1000));
  EXPECT_EQ(second.take(), lines{"1:slow"});
}

TEST_F(room_actor_test, a_repeat_of_what_went_out_is_answered_and_goes_to_nobody) {
  subscribe(second);
  append(first, 1, "hello", "key");
  settle();
  second.take();
  append(first, 2, "hello", "key");
  settle();
  EXPECT_EQ(first.take(), (lines{"#1 ok 1", "#2 ok 1"}));
  EXPECT_EQ(second.take(), lines{});
}

TEST_F(room_actor_test, a_repeat_whose_first_answer_was_lost_goes_out_as_it_was_stored) {
  subscribe(second);
  storage.lose_next(StorageRequest::kRoomAppend);
  append(first, 1, "as stored", "key");
  settle();
  append(first, 2, "as repeated", "key");
  settle();
  EXPECT_EQ(second.take(), lines{"1:as stored"});
  EXPECT_EQ(first.take(), (lines{"#1 deadline", "#2 ok 1"}));
}

TEST_F(room_actor_test, what_another_owner_stored_in_between_goes_out_in_order) {
  subscribe(second);
  append(first, 1, "one");
  settle();
  stored_elsewhere("two");
  stored_elsewhere("three");
  append(first, 2, "four");
  append(first, 3, "five");
  settle();
  EXPECT_EQ(second.take(), (lines{"1:one", "2:two", "3:three", "4:four", "5:five"}));
  EXPECT_EQ(first.take(), (lines{"#1 ok 1", "#2 ok 4", "#3 ok 5"}));
}

TEST_F(room_actor_test, tombstones_in_a_gap_are_counted_and_empty) {
  subscribe(second);
  stored_elsewhere("a");
  stored_elsewhere("b");
  storage::v1::StorageRequest what;
  what.mutable_recall()->mutable_conversation()->set_hi(room.value);
  what.mutable_recall()->set_actor(founder.value);
  what.mutable_recall()->set_mid(1);
  storage::v1::StorageReply reply;
  ASSERT_EQ(storage.execute(what, reply), errc::ok);
  append(first, 1, "c");
  settle();
  EXPECT_EQ(second.take(), (lines{"1-", "2:b", "3>1", "4:c"}));
}

TEST_F(room_actor_test, a_gap_longer_than_a_page_is_read_page_by_page) {
  options.gap_rows = 3;
  subscribe(second);
  for (int i = 1; i <= 8; ++i) stored_elsewhere(std::to_string(i));
  append(first, 1, "last");
  settle();
  EXPECT_EQ(second.take(), (lines{"1:1", "2:2", "3:3", "4:4", "5:5", "6:6", "7:7", "8:8", "9:last"}));
}

TEST_F(room_actor_test, a_failed_read_of_a_gap_is_tried_again) {
  subscribe(second);
  stored_elsewhere("one");
  storage.fail_next(StorageRequest::kRead, errc::database);
  append(first, 1, "two");
  settle();
  EXPECT_EQ(second.take(), lines{});
  EXPECT_EQ(first.take(), lines{});
  pass(std::chrono::milliseconds(500));
  EXPECT_EQ(second.take(), (lines{"1:one", "2:two"}));
  EXPECT_EQ(first.take(), lines{"#1 ok 2"});
}

TEST_F(room_actor_test, with_nobody_interested_no_gap_is_read) {
  stored_elsewhere("one");
  append(first, 1, "two");
  settle();
  EXPECT_EQ(first.take(), lines{"#1 ok 2"});
  interest(second, 2);
  settle();
  EXPECT_EQ(second.take(), lines{"#2 ok 2"});
}

// ---- interest ----

TEST_F(room_actor_test, interest_is_answered_with_the_head_frames_go_on_from) {
  stored_elsewhere("old");
  interest(second, 3);
  EXPECT_EQ(second.take(), lines{});
  append(first, 1, "new");
  settle();
  EXPECT_EQ(second.take(), (lines{"#3 ok 1", "2:new"}));
}

TEST_F(room_actor_test, what_is_stored_while_the_head_is_read_is_below_the_head_that_is_told) {
  append(first, 1, "one");
  interest(second, 3);
  append(first, 2, "two");
  settle();
  const lines got = second.take();
  ASSERT_FALSE(got.empty());
  // Storage answers in order: the head read between the two is 1 or, by then, 2; no mid is missing after it.
  EXPECT_EQ(got, (lines{"#3 ok 1", "2:two"}));
}

TEST_F(room_actor_test, interest_of_a_known_room_is_answered_at_once) {
  subscribe(first);
  append(first, 1, "one");
  settle();
  interest(second, 3);
  EXPECT_EQ(second.take(), lines{"#3 ok 1"});
  interest(second, 4);
  EXPECT_EQ(second.take(), lines{"#4 ok 1"});
  append(first, 5, "two");
  settle();
  EXPECT_EQ(second.take(), lines{"2:two"});
}

TEST_F(room_actor_test, after_the_interest_ends_no_frame_comes) {
  subscribe(second);
  interest(second, 4, false);
  append(first, 5, "hello");
  settle();
  EXPECT_EQ(second.take(), lines{"#4 ok"});
}

TEST_F(room_actor_test, interest_in_a_room_that_is_none_is_refused) {
  interest(first, 3, true, room_id{123});
  settle();
  EXPECT_EQ(first.take(), lines{"#3 no_such_object"});
}

TEST_F(room_actor_test, interest_ends_with_the_stream_and_comes_back_with_the_next) {
  subscribe(second);
  append(first, 1, "one");
  settle();
  EXPECT_EQ(second.take(), lines{"1:one"});
  disconnect(second);
  append(first, 2, "two");
  settle();
  EXPECT_EQ(second.take(), lines{});
  second = connect("session-1");
  interest(second, 9);
  settle();
  append(first, 3, "three");
  settle();
  EXPECT_EQ(second.take(), (lines{"#9 ok 2", "3:three"}));
}

TEST_F(room_actor_test, a_gap_nobody_waits_for_any_more_holds_nobody_up) {
  subscribe(second);
  stored_elsewhere("one");
  storage.fail_next(StorageRequest::kRead, errc::database);
  append(first, 1, "two");
  settle();
  disconnect(second);
  EXPECT_EQ(first.take(), lines{"#1 ok 2"});
}

TEST_F(room_actor_test, a_node_that_does_not_take_a_frame_loses_its_stream_not_the_frame) {
  subscribe(first);
  subscribe(second);
  second.out->full = true;
  append(first, 1, "one");
  settle();
  EXPECT_TRUE(second.out->closed);
  EXPECT_EQ(first.take(), (lines{"1:one", "#1 ok 1"}));
}

// ---- who is gone ----

TEST_F(room_actor_test, who_is_gone_is_told_before_any_later_frame) {
  subscribe(second);
  append(first, 1, "before");
  kick(first, 2, alice);
  send(first, append_of(3, "after", {}, founder));
  settle();
  EXPECT_EQ(second.take(), (lines{"1:before", "gone 12", "2:after"}));
  EXPECT_EQ(first.take(), (lines{"#1 ok 1", "#2 ok", "#3 ok 2"}));
}

TEST_F(room_actor_test, who_is_gone_gets_what_was_stored_before_even_if_that_has_to_be_read) {
  subscribe(second);
  stored_elsewhere("one");
  append(first, 1, "two");
  kick(first, 2, alice);
  send(first, append_of(3, "three", {}, founder));
  settle();
  EXPECT_EQ(second.take(), (lines{"1:one", "2:two", "gone 12", "3:three"}));
}

TEST_F(room_actor_test, a_look_for_lost_messages_does_not_overtake_who_is_gone) {
  subscribe(second);
  storage.lose_next(StorageRequest::kRoomAppend);
  append(first, 1, "lost");
  storage.answer();
  run();
  time.advance(std::chrono::milliseconds(500));
  timers.turn();
  run();  // the look is on its way to storage
  kick(first, 2, alice);
  send(first, append_of(3, "after", {}, founder));
  settle();
  EXPECT_EQ(second.take(), (lines{"gone 12", "1:lost", "2:after"}));
}

TEST_F(room_actor_test, a_node_whose_head_is_being_read_hears_who_is_gone) {
  kick(first, 2, alice);
  interest(second, 3);
  settle();
  EXPECT_EQ(second.take(), (lines{"gone 12", "#3 ok", "gone 12"}));
}

TEST_F(room_actor_test, a_node_that_comes_later_hears_who_went_lately) {
  subscribe(first);
  kick(first, 2, alice);
  settle();
  interest(second, 3);
  settle();
  EXPECT_EQ(second.take(), (lines{"#3 ok", "gone 12"}));
}

// ---- ownership ----

TEST_F(room_actor_test, requests_of_another_epoch_or_for_another_owner_are_refused) {
  auto late = append_of(1, "late");
  late.set_epoch(0);
  send(first, std::move(late));
  publish("group-1", 2);
  append(first, 2, "not ours");
  EXPECT_EQ(first.take(), (lines{"#1 wrong_owner", "#2 wrong_owner"}));
  EXPECT_EQ(storage.waiting(), 0U);
}

TEST_F(room_actor_test, without_a_lease_nothing_goes_out_and_appends_are_to_be_asked_again) {
  subscribe(second);
  append(first, 1, "hello", "key");
  lease = false;
  settle();
  EXPECT_EQ(first.take(), lines{"#1 wrong_owner"});
  EXPECT_EQ(second.take(), lines{});
  append(first, 2, "hello", "key");
  EXPECT_EQ(first.take(), lines{"#2 wrong_owner"});
  lease = true;
  append(first, 3, "hello", "key");
  settle();
  EXPECT_EQ(first.take(), lines{"#3 ok 1"});
  EXPECT_EQ(second.take(), lines{"1:hello"});
}

TEST_F(room_actor_test, what_was_stored_without_a_lease_goes_out_when_it_is_back) {
  subscribe(second);
  append(first, 1, "hello");
  lease = false;
  settle();
  lease = true;
  pass(std::chrono::milliseconds(500));
  EXPECT_EQ(second.take(), lines{"1:hello"});
}

TEST_F(room_actor_test, a_new_epoch_of_our_own_starts_the_room_anew) {
  subscribe(second);
  append(first, 1, "one");
  settle();
  second.take();
  publish("group-0", 2);
  interest(second, 5);  // before the supervisor has come to end the old actor
  settle();
  EXPECT_EQ(second.take(), lines{"#5 ok 1"});
  append(first, 6, "two");
  settle();
  EXPECT_EQ(second.take(), lines{"2:two"});
  EXPECT_EQ(dir.size(), 1U);
  EXPECT_EQ(metrics.rooms, 1);
}

TEST_F(room_actor_test, an_actor_that_lost_its_range_answers_when_storage_has_and_ends) {
  subscribe(second);
  append(first, 1, "hello");
  kick(first, 2, alice);
  publish("group-1", 2);
  dir.end_if([](room_id, uint64_t) { return true; });
  run();
  EXPECT_EQ(metrics.rooms, 1);
  settle();
  // The message must be asked for again, of the next owner, which sends it out. The change is done and said to be.
  EXPECT_EQ(first.take(), (lines{"#1 wrong_owner", "#2 ok"}));
  // The next owner does not know of it.
  EXPECT_EQ(second.take(), lines{"gone 12"});
  EXPECT_EQ(metrics.rooms, 0);
  EXPECT_EQ(metrics.open, 0);
}

TEST_F(room_actor_test, after_a_takeover_a_late_message_of_the_former_owner_goes_out) {
  env.ranges_changed_ns = time.now().time_since_epoch().count();
  subscribe(second);
  stored_elsewhere("late");
  for (int i = 0; i < 4; ++i) pass(std::chrono::milliseconds(1000));
  EXPECT_EQ(second.take(), lines{"1:late"});
}

// ---- load and life ----

TEST_F(room_actor_test, above_its_bound_a_room_answers_overload_and_keeps_the_order) {
  options.room_queue_requests = 2;
  for (uint64_t i = 1; i <= 3; ++i) append(first, i, std::to_string(i));
  EXPECT_EQ(first.take(), lines{"#3 overload"});
  settle();
  EXPECT_EQ(first.take(), (lines{"#1 ok 1", "#2 ok 2"}));
  append(first, 4, "4");
  settle();
  EXPECT_EQ(first.take(), lines{"#4 ok 3"});
}

TEST_F(room_actor_test, the_bound_counts_bytes_too) {
  options.room_queue_bytes = 100;
  append(first, 1, std::string(150, 'x'));
  append(first, 2, "y");
  EXPECT_EQ(first.take(), lines{"#2 overload"});
}

TEST_F(room_actor_test, above_the_bound_of_the_node_requests_are_answered_overload) {
  options.queue_requests = 2;
  for (uint64_t i = 1; i <= 3; ++i) append(first, i, std::to_string(i));
  EXPECT_EQ(first.take(), lines{"#3 overload"});
  settle();
  EXPECT_EQ(metrics.open, 0);
}

TEST_F(room_actor_test, a_room_without_interest_and_work_leaves) {
  subscribe(second);
  append(first, 1, "one");
  settle();
  EXPECT_EQ(dir.size(), 1U);
  pass(std::chrono::seconds(60));
  EXPECT_EQ(dir.size(), 1U);
  interest(second, 2, false);
  pass(std::chrono::seconds(5));
  EXPECT_EQ(dir.size(), 1U);
  pass(std::chrono::seconds(6));
  EXPECT_EQ(dir.size(), 0U);
  EXPECT_EQ(metrics.rooms, 0);
  append(first, 3, "two");
  settle();
  EXPECT_EQ(first.take(), (lines{"#1 ok 1", "#3 ok 2"}));
}

TEST_F(room_actor_test, rooms_do_not_wait_for_each_other) {
  subscribe(first);
  append(first, 1, "slow");
  interest(first, 2, true, other_room);
  EXPECT_EQ(dir.size(), 2U);
  settle();
  EXPECT_EQ(first.take(), (lines{"1:slow", "#1 ok 1", "#2 ok"}));
}

}  // namespace
}  // namespace tern::group

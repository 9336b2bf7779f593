#include "services/group/live/live_room.hpp"

#include "services/group/testing/live_fixture.hpp"

namespace tern::group::live {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Writes down what the room does: "a #1 ok v1" is an answer to gateway a.
class live_room_test : public ::testing::Test, public live_requests, private live_room::port {
 protected:
  live_room_test() {
    room.init({seconds(300), seconds(60), 2, 3}, now);
    a->node = "a";
    b->node = "b";
  }

  lines tell(const gateway_ptr& from, v1::LiveRequest what) {
    room.take(asked{from, std::move(what)}, now);
    return take();
  }
  lines take() { return std::exchange(seen, {}); }
  /// Somebody may still come and tell what the room is.
  void in_grace() { room.init({seconds(300), seconds(60), 2, 3}, now + seconds(2)); }
  void pass(milliseconds by) {
    now += by;
    room.on_time(now);
  }

  clock::time_point now{seconds(1000)};
  live_room room{vroom, *this};
  gateway_ptr a = std::make_shared<gateway_stream>();
  gateway_ptr b = std::make_shared<gateway_stream>();
  bool full = false;
  lines seen;

 private:
  void say(const gateway_ptr& to, const v1::LiveReply& what) { seen.push_back(to->node + " " + shown(what)); }
  void answer(const asked& what, errc code, const v1::LiveState* state) override {
    v1::LiveReply reply;
    reply.mutable_answer()->set_call(what.item.call());
    reply.mutable_answer()->set_code(static_cast<int32_t>(code));
    if (state != nullptr) *reply.mutable_answer()->mutable_state() = *state;
    say(what.from, reply);
  }
  void refuse(const asked& what, errc code) override {
    v1::LiveReply reply;
    reply.mutable_refused()->set_conn(what.item.push().conn());
    reply.mutable_refused()->set_code(static_cast<int32_t>(code));
    say(what.from, reply);
  }
  void fan_out(v1::LiveFrame& frame, const std::vector<gateway_ptr>& to) override {
    v1::LiveReply reply;
    *reply.mutable_frame() = frame;
    last = frame;
    for (const gateway_ptr& one : to) say(one, reply);
  }
  void tell_state(const v1::LiveState& state, const gateway_ptr& to) override {
    v1::LiveReply reply;
    *reply.mutable_state() = state;
    say(to, reply);
  }
  void tell_gone(const std::vector<gateway_ptr>& to) override {
    for (const gateway_ptr& one : to) seen.push_back(one->node + " gone");
  }
  bool begin(bool) override { return !full; }
  void ended(ending why) override { ends.push_back(why); }

 protected:
  v1::LiveFrame last;
  std::vector<ending> ends;
};

// ---- what its owner does ----

TEST_F(live_room_test, it_is_made_once_and_its_maker_hears_of_it) {
  EXPECT_EQ(tell(a, create(1)), lines{"a #1 ok v1"});
  EXPECT_EQ(room.state().owner(), owner);
  EXPECT_EQ(room.state().domain(), "d");
  EXPECT_EQ(room.state().vroom(), vroom.value);
  EXPECT_EQ(tell(a, repeated(create(2))), lines{"a #2 ok v1"});
  EXPECT_EQ(room.interested(), std::vector<gateway_ptr>{a});
}

TEST_F(live_room_test, an_id_that_is_taken_is_said_to_be) {
  tell(a, create(1));
  EXPECT_EQ(tell(b, create(2, guest)), lines{"b #2 exists"});
  EXPECT_EQ(tell(b, elsewhere(create(3))), lines{"b #3 exists"});
  EXPECT_EQ(room.interested(), std::vector<gateway_ptr>{a});
}

TEST_F(live_room_test, a_node_with_too_many_makes_none) {
  full = true;
  EXPECT_EQ(tell(a, create(1)), lines{"a #1 overload"});
  EXPECT_TRUE(room.may_leave(now));
}

TEST_F(live_room_test, only_its_owner_ends_it_and_all_are_told) {
  tell(a, create(1));
  tell(b, interest(2));
  tell(a, grant(3, guest));
  take();
  EXPECT_EQ(tell(b, remove(4, guest)), lines{"b #4 permission_denied"});
  EXPECT_EQ(tell(b, elsewhere(remove(5))), lines{"b #5 no_such_object"});
  EXPECT_EQ(tell(a, remove(6)), (lines{"a #6 ok", "a gone", "b gone"}));
  EXPECT_EQ(ends, std::vector<ending>{ending::removed});
}

TEST_F(live_room_test, what_is_over_stays_so_for_those_who_missed_the_end) {
  tell(a, create(1));
  tell(a, remove(2));
  EXPECT_EQ(tell(a, repeated(remove(3))), lines{"a #3 ok"});
  EXPECT_EQ(tell(a, remove(4)), lines{"a #4 no_such_object"});
  EXPECT_EQ(tell(b, known_interest(5, 9)), lines{"b #5 no_such_object"});
  EXPECT_EQ(tell(b, interest(6, false)), lines{"b #6 ok"});
  EXPECT_EQ(tell(b, create(7)), lines{"b #7 exists"});
  EXPECT_EQ(tell(a, grant(8, guest)), lines{"a #8 no_such_object"});
  EXPECT_EQ(tell(a, push("x")), lines{"a x11 no_such_object"});
  EXPECT_FALSE(room.may_leave(now + seconds(59)));
  EXPECT_TRUE(room.may_leave(now + seconds(60)));
}

TEST_F(live_room_test, the_right_to_push_is_given_and_taken_by_the_owner_alone) {
  tell(a, create(1));
  tell(b, interest(2));
  EXPECT_EQ(tell(b, push("no", guest)), lines{"b x12 permission_denied"});
  EXPECT_EQ(tell(b, grant(3, guest, true, guest)), lines{"b #3 permission_denied"});
  EXPECT_EQ(tell(a, grant(4, guest)), (lines{"b v2", "a #4 ok v2"}));
  EXPECT_EQ(tell(b, push("yes", guest)), (lines{"a 1:yes", "b 1:yes"}));
  EXPECT_EQ(tell(a, grant(5, guest, false)), (lines{"b v3", "a #5 ok v3"}));
  EXPECT_EQ(tell(b, push("no", guest)), lines{"b x12 permission_denied"});
}

TEST_F(live_room_test, rights_that_are_as_asked_change_nothing) {
  tell(a, create(1));
  tell(b, interest(2));
  EXPECT_EQ(tell(a, grant(3, guest, false)), lines{"a #3 ok v1"});
  tell(a, grant(4, guest));
  EXPECT_EQ(tell(a, grant(5, guest)), lines{"a #5 ok v2"});
}

TEST_F(live_room_test, the_owner_needs_no_right_and_rights_have_a_bound) {
  tell(a, create(1));
  EXPECT_EQ(tell(a, grant(2, owner)), lines{"a #2 bad_parameter"});
  EXPECT_EQ(tell(a, grant(3, owner, false)), lines{"a #3 bad_parameter"});
  tell(a, grant(4, 21));
  tell(a, grant(5, 22));
  EXPECT_EQ(tell(a, grant(6, 23)), lines{"a #6 over_entry"});
  EXPECT_EQ(tell(a, grant(7, 22)), lines{"a #7 ok v3"});
}

// ---- who watches, and what they get ----

TEST_F(live_room_test, every_interested_gateway_gets_a_push_once_and_in_order) {
  tell(a, create(1));
  EXPECT_EQ(tell(b, interest(2)), lines{"b #2 ok v1"});
  EXPECT_EQ(tell(b, interest(3)), lines{"b #3 ok v1"});
  EXPECT_EQ(tell(a, push("x")), (lines{"a 1:x", "b 1:x"}));
  EXPECT_EQ(tell(b, interest(4, false)), lines{"b #4 ok"});
  EXPECT_EQ(tell(a, push("y")), lines{"a 2:y"});
  room.left(a);
  EXPECT_EQ(tell(a, push("z")), lines{});
  tell(b, interest(5));
  EXPECT_EQ(tell(a, push("w")), lines{"b 4:w"});
}

TEST_F(live_room_test, a_frame_says_who_what_and_which) {
  tell(a, create(1));
  auto what = push("body");
  what.mutable_push()->set_dtype(5);
  what.mutable_push()->set_received_ns(77);
  tell(a, what);
  EXPECT_EQ(last.vroom(), vroom.value);
  EXPECT_EQ(last.sender(), owner);
  EXPECT_EQ(last.id(), 1);
  EXPECT_EQ(last.dtype(), 5);
  EXPECT_EQ(last.received_ns(), 77);
  what.mutable_push()->set_id(99);
  tell(a, what);
  EXPECT_EQ(last.id(), 99);
  EXPECT_EQ(last.seq(), 2U);
}

TEST_F(live_room_test, another_domain_finds_no_room) {
  tell(a, create(1));
  EXPECT_EQ(tell(b, elsewhere(interest(2))), lines{"b #2 no_such_object"});
  EXPECT_EQ(tell(b, elsewhere(push("x"))), lines{"b x11 no_such_object"});
  EXPECT_EQ(tell(b, elsewhere(grant(3, guest))), lines{"b #3 no_such_object"});
  EXPECT_EQ(room.interested(), std::vector<gateway_ptr>{a});
}

TEST_F(live_room_test, what_nobody_made_does_not_exist) {
  EXPECT_EQ(tell(a, interest(1)), lines{"a #1 no_such_object"});
  EXPECT_EQ(tell(a, push("x")), lines{"a x11 no_such_object"});
  EXPECT_EQ(tell(a, grant(2, guest)), lines{"a #2 no_such_object"});
  EXPECT_EQ(tell(a, remove(3)), lines{"a #3 no_such_object"});
  EXPECT_EQ(tell(a, repeated(remove(4))), lines{"a #4 ok"});
  EXPECT_EQ(tell(a, interest(5, false)), lines{"a #5 ok"});
  EXPECT_TRUE(room.may_leave(now));
}

TEST_F(live_room_test, a_request_without_a_command_is_answered) {
  tell(a, create(1));
  EXPECT_EQ(tell(a, request(2, owner)), lines{"a #2 bad_interface"});
}

// ---- a new owner of the range ----

TEST_F(live_room_test, it_goes_on_from_what_a_gateway_knows) {
  EXPECT_EQ(tell(b, known_interest(1, 3)), lines{"b #1 ok v3"});
  EXPECT_EQ(tell(b, push("x", guest)), lines{"b 1:x"});
  EXPECT_EQ(tell(a, remove(2)), (lines{"a #2 ok", "b gone"}));
}

TEST_F(live_room_test, the_newest_that_is_known_wins) {
  tell(a, known_interest(1, 1));
  EXPECT_EQ(tell(b, known_interest(2, 3)), (lines{"a v3", "b #2 ok v3"}));
  EXPECT_EQ(tell(a, known_interest(3, 2)), lines{"a #3 ok v3"});
}

TEST_F(live_room_test, a_state_of_somebody_elses_room_is_not_taken) {
  tell(a, create(1));
  auto other = known_interest(2, 9);
  other.mutable_interest()->mutable_known()->set_owner(guest);
  EXPECT_EQ(tell(b, other), lines{"b #2 no_such_object"});
  other.set_domain("d");
  EXPECT_EQ(tell(b, other), lines{"b #2 ok v1"});
  auto wrong = known_interest(3, 9);
  wrong.mutable_interest()->mutable_known()->set_vroom(1);
  EXPECT_EQ(tell(b, wrong), lines{"b #3 no_such_object"});
}

TEST_F(live_room_test, in_its_first_moments_an_owner_waits_for_who_knows) {
  in_grace();
  EXPECT_EQ(tell(a, grant(1, 99)), lines{});
  EXPECT_EQ(tell(a, push("x")), lines{});
  EXPECT_EQ(tell(a, interest(2)), lines{});
  EXPECT_FALSE(room.may_leave(now));
  EXPECT_EQ(tell(b, known_interest(3, 2)), (lines{"b #3 ok v2", "b v3", "a #1 ok v3", "b 1:x", "a #2 ok v3"}));
}

TEST_F(live_room_test, when_nobody_came_in_time_the_room_is_none) {
  in_grace();
  tell(a, interest(1));
  tell(a, push("x"));
  tell(b, repeated(remove(2)));
  pass(seconds(1));
  EXPECT_EQ(take(), lines{});
  EXPECT_EQ(room.due(), now + seconds(1));
  pass(seconds(1));
  EXPECT_EQ(take(), (lines{"a #1 no_such_object", "a x11 no_such_object", "b #2 ok"}));
  EXPECT_TRUE(room.may_leave(now));
}

TEST_F(live_room_test, a_room_is_made_at_once_even_in_the_first_moments) {
  in_grace();
  EXPECT_EQ(tell(a, create(1)), lines{"a #1 ok v1"});
  EXPECT_EQ(tell(a, push("x")), lines{"a 1:x"});
}

TEST_F(live_room_test, what_waits_is_bounded) {
  in_grace();
  for (uint64_t i = 1; i <= 3; ++i) EXPECT_EQ(tell(a, interest(i)), lines{});
  EXPECT_EQ(tell(a, interest(4)), lines{"a #4 overload"});
  EXPECT_EQ(tell(a, push("x")), lines{"a x11 overload"});
}

TEST_F(live_room_test, an_interest_that_ended_before_it_began_again_stays) {
  in_grace();
  EXPECT_EQ(tell(a, interest(1, false)), lines{});
  EXPECT_EQ(tell(a, known_interest(2, 1)), (lines{"a #2 ok v1", "a #1 ok"}));
  EXPECT_EQ(room.interested(), std::vector<gateway_ptr>{a});
}

TEST_F(live_room_test, a_removal_that_waited_ends_what_the_next_one_brings) {
  in_grace();
  tell(a, remove(1));
  tell(a, interest(2));
  EXPECT_EQ(tell(b, known_interest(3, 1)), (lines{"b #3 ok v1", "a #1 ok", "b gone", "a #2 no_such_object"}));
}

TEST_F(live_room_test, interests_of_a_stream_that_ended_while_they_waited_are_none) {
  in_grace();
  tell(a, interest(1));
  room.left(a);
  EXPECT_EQ(tell(b, known_interest(2, 1)), lines{"b #2 ok v1"});
  EXPECT_EQ(room.interested(), std::vector<gateway_ptr>{b});
}

TEST_F(live_room_test, who_waits_when_the_range_goes_is_sent_to_the_next_owner) {
  in_grace();
  tell(a, grant(1, guest));
  tell(a, push("x"));
  room.abandon();
  EXPECT_EQ(take(), (lines{"a #1 wrong_owner", "a x11 wrong_owner"}));
  EXPECT_TRUE(ends.empty());
}

TEST_F(live_room_test, a_live_room_whose_range_goes_tells_nobody) {
  tell(a, create(1));
  room.abandon();
  EXPECT_EQ(take(), lines{});
  EXPECT_TRUE(room.interested().empty());
  EXPECT_EQ(ends, std::vector<ending>{ending::moved});
}

// ---- its end by itself ----

TEST_F(live_room_test, without_traffic_it_ends_and_says_so) {
  tell(a, create(1));
  tell(b, interest(2));
  pass(seconds(299));
  EXPECT_EQ(take(), lines{});
  EXPECT_EQ(room.due(), now + seconds(1));
  pass(seconds(1));
  EXPECT_EQ(take(), (lines{"a gone", "b gone"}));
  EXPECT_EQ(ends, std::vector<ending>{ending::idle});
  EXPECT_EQ(tell(b, known_interest(3, 1)), lines{"b #3 no_such_object"});
}

TEST_F(live_room_test, a_push_or_a_command_keeps_it) {
  tell(a, create(1));
  pass(seconds(200));
  tell(a, push("x"));
  pass(seconds(200));
  tell(b, interest(2));
  pass(seconds(200));
  EXPECT_TRUE(ends.empty());
  EXPECT_EQ(room.due(), now + seconds(100));
}

// ---- gateways where nobody watches ----

TEST_F(live_room_test, a_gateway_that_wants_no_frames_gets_changes_and_answers_only) {
  tell(a, create(1));
  auto quiet = interest(2);
  quiet.mutable_interest()->set_no_frames(true);
  EXPECT_EQ(tell(b, quiet), lines{"b #2 ok v1"});
  EXPECT_EQ(tell(a, push("x")), lines{"a 1:x"});
  EXPECT_EQ(tell(a, grant(3, guest)), (lines{"b v2", "a #3 ok v2"}));
  EXPECT_EQ(tell(b, interest(4)), lines{"b #4 ok v2"});  // somebody watches now
  EXPECT_EQ(tell(a, push("y")), (lines{"a 2:y", "b 2:y"}));
  quiet.set_call(5);
  EXPECT_EQ(tell(a, quiet), lines{"a #5 ok v2"});
  EXPECT_EQ(tell(a, push("z")), lines{"b 3:z"});
  EXPECT_EQ(tell(a, remove(6)), (lines{"a #6 ok", "a gone", "b gone"}));
}

}  // namespace
}  // namespace tern::group::live

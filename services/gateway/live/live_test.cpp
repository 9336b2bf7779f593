// Virtual rooms at the gateway: commands, ends, owners that change. Clients, lanes and links are real; sockets, io
// threads and group nodes are moved by the test.
#include <gtest/gtest.h>

#include "services/gateway/live/push.hpp"
#include "services/gateway/testing/live_fixture.hpp"

namespace tern::gateway {
namespace {

using gateway::testing::error_of;
using gateway::testing::fake_connection;
using group::v1::LiveRequest;
using namespace std::chrono_literals;

using live_rooms = gateway::testing::live_rooms;

// ---- commands -----------------------------------------------------------------------------------------------------

TEST_F(live_rooms, are_made_at_the_owner_of_their_slot_and_named_to_who_asked) {
  start();
  auto& who = connect(0, "red", true, 5000);
  vroom(who, 1);
  ASSERT_EQ(groups[0]->got.size(), 1U);
  const LiveRequest& made = groups[0]->got[0];
  EXPECT_TRUE(made.has_create());
  EXPECT_EQ(made.account(), 5000U);
  EXPECT_EQ(made.domain(), "red");
  EXPECT_EQ(made.epoch(), 1U);
  EXPECT_EQ(only(who), ok(1, node(made.vroom())));
  EXPECT_EQ(groups[1]->streams, 0U);  // nobody needs it
}

TEST_F(live_rooms, get_another_id_when_one_is_taken) {
  start();
  groups[0]->script = [this](const LiveRequest& what) {
    group::v1::LiveState state;
    state.set_vroom(what.vroom());
    groups[0]->answer(what, groups[0]->got.size() == 1 ? errc::exists : errc::ok, &state);
  };
  auto& who = connect();
  vroom(who, 1);
  ASSERT_EQ(groups[0]->got.size(), 2U);
  EXPECT_NE(groups[0]->got[0].vroom(), groups[0]->got[1].vroom());
  EXPECT_EQ(only(who), ok(1, node(groups[0]->got[1].vroom())));
  EXPECT_EQ(rooms->size(), 1U);
}

TEST_F(live_rooms, answer_what_makes_no_sense_without_asking_anybody) {
  start();
  auto& who = connect();
  const std::string room = node(make_room());
  for (const int rtype : {2, 3, 4, 5, 6}) {
    vroom(who, rtype);
    EXPECT_EQ(only(who), error_of(22, rtype, 4104, ""));
    vroom(who, rtype, to_node(account_id{7}));
    EXPECT_EQ(only(who), error_of(22, rtype, 4104, to_node(account_id{7})));
  }
  for (const int rtype : {3, 4}) {
    vroom(who, rtype, room, R"(,"node2":"nobody")");
    EXPECT_EQ(only(who), error_of(22, rtype, 4106, room));
  }
  vroom(who, 7, room);
  EXPECT_EQ(only(who), error_of(22, 7, 4107, room));
  stream(who, "nonsense", "aGk=");
  EXPECT_EQ(only(who), error_of(94, 0, 4104, "nonsense"));
  EXPECT_TRUE(groups[0]->got.empty());
  EXPECT_EQ(rooms->size(), 0U);
}

TEST_F(live_rooms, answer_with_the_owners_verdict) {
  start();
  const uint64_t room = make_room(5000);
  auto& owner = connect(0, {}, true, 5000);
  auto& other = connect(1, {}, true, 6000);
  const std::string friend_node = to_node(account_id{6000});
  vroom(other, 2, node(room));
  EXPECT_EQ(only(other), error_of(22, 2, 4105, node(room)));
  vroom(owner, 3, node(room), R"(,"node2":")" + friend_node + '"');
  EXPECT_EQ(only(owner), ok(3, friend_node));
  vroom(owner, 4, node(room), R"(,"node2":")" + friend_node + '"');
  EXPECT_EQ(only(owner), ok(4, friend_node));
  vroom(owner, 2, node(room));
  EXPECT_EQ(only(owner), ok(2, node(room)));
  vroom(owner, 2, node(room));
  EXPECT_EQ(only(owner), error_of(22, 2, 4109, node(room)));
  EXPECT_EQ(rooms->size(), 0U);
}

TEST_F(live_rooms, ask_the_owner_once_for_all_subscribers_of_a_gateway) {
  start();
  const uint64_t room = make_room();
  for (size_t i = 0; i < 6; ++i) viewer(room, i % 2);
  EXPECT_EQ(groups[0]->count(LiveRequest::kInterest), 1U);
  EXPECT_EQ(metric("tern_gateway_live_subscriptions"), 6);
  EXPECT_EQ(metric("tern_gateway_live_rooms"), 1);
}

TEST_F(live_rooms, exist_for_their_own_domain_only) {
  start();
  const uint64_t room = make_room(5000, "red");
  auto& red = connect(0, "red");
  auto& blue = connect(0, "blue");
  vroom(blue, 5, node(room));
  EXPECT_EQ(only(blue), error_of(22, 5, 4109, node(room)));
  vroom(red, 5, node(room));
  EXPECT_EQ(only(red), ok(5, node(room)));
  vroom(blue, 5, node(room));
  EXPECT_EQ(only(blue), error_of(22, 5, 4109, node(room)));
  stream(blue, node(room), "aGk=");
  EXPECT_EQ(only(blue), error_of(94, 0, 4109, node(room)));
  groups[0]->frame(room, 1, "still there");
  run();
  EXPECT_EQ(red.messages().size(), 1U);
  EXPECT_TRUE(blue.messages().empty());
}

TEST_F(live_rooms, do_not_let_a_connection_have_too_many) {
  config.live_rooms_per_connection = 2;
  config.live_subscriptions_per_connection = 2;
  start();
  auto& who = connect(0, {}, true, 5000);
  std::vector<std::string> made;
  for (int i = 0; i < 2; ++i) {
    vroom(who, 1);
    EXPECT_NE(only(who).find(R"("ok":true)"), std::string::npos);
    made.push_back(node(groups[0]->got.back().vroom()));
  }
  vroom(who, 1);
  EXPECT_EQ(only(who), error_of(22, 1, 4111, ""));
  vroom(who, 2, made[0]);
  EXPECT_EQ(only(who), ok(2, made[0]));
  vroom(who, 1);
  EXPECT_NE(only(who).find(R"("ok":true)"), std::string::npos);

  const uint64_t first = make_room(), second = make_room(), third = make_room();
  for (const uint64_t room : {first, second, first}) {  // the third one changes nothing
    vroom(who, 5, node(room));
    EXPECT_EQ(only(who), ok(5, node(room)));
  }
  vroom(who, 5, node(third));
  EXPECT_EQ(only(who), error_of(22, 5, 4111, node(third)));
  vroom(who, 6, node(first));
  EXPECT_EQ(only(who), ok(6, node(first)));
  vroom(who, 5, node(third));
  EXPECT_EQ(only(who), ok(5, node(third)));
}

TEST_F(live_rooms, give_up_a_command_nobody_answers) {
  start();
  groups[0]->script = nullptr;
  auto& who = connect();
  const std::string room = node(make_room());
  vroom(who, 1);
  vroom(who, 5, room);
  vroom(who, 2, room);
  pass(2900ms);
  EXPECT_TRUE(who.messages().empty());
  pass(300ms);
  EXPECT_EQ(who.messages().size(), 3U);
  pass(1000ms);
  EXPECT_TRUE(who.messages().empty());
}

TEST_F(live_rooms, give_up_a_command_without_an_owner) {
  start();
  groups[0]->fail();
  auto& who = connect();
  const std::string room = node(make_room());
  vroom(who, 5, room);
  pass(3200ms);
  EXPECT_EQ(only(who), error_of(22, 5, 5104, room));
  pass(100ms);
  EXPECT_EQ(rooms->size(), 0U);
}

TEST_F(live_rooms, answer_unsubscribing_always_and_in_order) {
  start();
  auto& who = connect();
  const std::string room = node(make_room());
  vroom(who, 6, room);
  EXPECT_EQ(only(who), ok(6, room));
  EXPECT_TRUE(groups[0]->got.empty());
  const auto behaves = std::exchange(groups[0]->script, nullptr);
  vroom(who, 5, room);
  vroom(who, 6, room);
  EXPECT_TRUE(who.messages().empty());
  behaves(groups[0]->got[0]);
  run();
  const auto all = who.messages();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].substr(1), ok(5, room));
  EXPECT_EQ(all[1].substr(1), ok(6, room));
  EXPECT_EQ(metric("tern_gateway_live_subscriptions"), 0);
}

// ---- ends ---------------------------------------------------------------------------------------------------------

TEST_F(live_rooms, tell_their_subscribers_when_they_end) {
  start();
  const uint64_t room = make_room();
  auto& first = viewer(room, 0);
  auto& second = viewer(room, 1);
  auto& pusher = connect(0);
  stream(pusher, node(room), "aGk=");
  first.messages();
  second.messages();
  groups[0]->gone(room);
  run();
  EXPECT_EQ(only(first), ok(2, node(room)));
  EXPECT_EQ(only(second), ok(2, node(room)));
  EXPECT_TRUE(pusher.messages().empty());
  EXPECT_EQ(rooms->size(), 0U);
  EXPECT_EQ(metric("tern_gateway_live_subscriptions"), 0);
  groups[0]->frame(room, 9, "late");
  run();
  EXPECT_TRUE(first.messages().empty());
}

TEST_F(live_rooms, tell_a_subscriber_that_removes_one_only_once) {
  start();
  const uint64_t room = make_room(5000);
  auto& owner = connect(0, {}, true, 5000);
  auto& other = viewer(room, 1);
  vroom(owner, 5, node(room));
  owner.messages();
  vroom(owner, 2, node(room));
  EXPECT_EQ(only(owner), ok(2, node(room)));
  EXPECT_EQ(only(other), ok(2, node(room)));
}

TEST_F(live_rooms, are_given_up_with_the_last_connection_that_has_to_do_with_them) {
  start();
  const uint64_t room = make_room();
  auto& first = viewer(room, 0);
  auto& second = viewer(room, 1);
  auto& pusher = connect(0);
  stream(pusher, node(room), "aGk=");
  first.end();
  session::v1::CloseTerminal order;
  order.set_logout(true);
  static_cast<client&>(second.handler()).on_close_terminal(order);  // a terminal that is logged out
  run();
  EXPECT_EQ(metric("tern_gateway_live_subscriptions"), 0);
  EXPECT_EQ(rooms->size(), 1U);
  EXPECT_EQ(groups[0]->count(LiveRequest::kInterest), 1U);
  pusher.end();
  run();
  EXPECT_EQ(rooms->size(), 0U);
  ASSERT_EQ(groups[0]->count(LiveRequest::kInterest), 2U);
  EXPECT_FALSE(groups[0]->got.back().interest().on());
}

TEST_F(live_rooms, do_not_outlive_a_connection_that_ends_before_it_is_answered) {
  start();
  const auto behaves = std::exchange(groups[0]->script, nullptr);
  auto& who = connect();
  vroom(who, 5, node(make_room()));
  vroom(who, 1);
  who.end();
  for (size_t i = 0; i < groups[0]->got.size(); ++i) {
    const LiveRequest what = groups[0]->got[i];
    behaves(what);
    run();
  }
  EXPECT_EQ(rooms->size(), 0U);
  EXPECT_EQ(groups[0]->count(LiveRequest::kInterest), 3U);  // one on, two off
}

TEST_F(live_rooms, forget_those_a_connection_pushed_into_long_ago) {
  start();
  auto& who = connect();
  for (int i = 0; i < 100; ++i) stream(who, node(make_room()), "aGk=");
  EXPECT_LE(rooms->size(), 17U);
}

// ---- owners -------------------------------------------------------------------------------------------------------

TEST_F(live_rooms, go_on_at_a_new_owner_with_what_is_known_here) {
  start();
  const uint64_t room = make_room(5000);
  auto& who = viewer(room, 0, true, true);
  groups[1]->rooms.clear();  // the new owner knows nothing
  own("group-1", 2);
  ASSERT_EQ(groups[1]->got.size(), 1U);
  const auto& interest = groups[1]->got[0].interest();
  EXPECT_TRUE(interest.on());
  EXPECT_EQ(interest.known().owner(), 5000U);
  EXPECT_EQ(groups[1]->got[0].epoch(), 2U);
  stream(who, node(room), "aGk=");
  EXPECT_EQ(bodies(who), std::vector<std::string>{"hi"});
}

TEST_F(live_rooms, take_no_frames_from_an_owner_that_was) {
  start();
  const uint64_t room = make_room();
  auto& who = viewer(room, 0, true, true);
  own("group-1", 2);
  groups[1]->frame(room, 1, "new");
  groups[0]->frame(room, 99, "late");
  run();
  EXPECT_EQ(bodies(who), std::vector<std::string>{"new"});
}

TEST_F(live_rooms, take_no_frames_of_an_owner_before_it_has_answered_the_interest) {
  start();
  const uint64_t room = make_room();
  auto& who = viewer(room, 0, true, true);
  const auto behaves = std::exchange(groups[0]->script, nullptr);
  own("group-1", 2);
  own("group-0", 3);  // over the stream it had
  groups[0]->frame(room, 7, "of its first time");
  behaves(groups[0]->got.back());
  groups[0]->frame(room, 1, "now");
  run();
  EXPECT_EQ(bodies(who), std::vector<std::string>{"now"});
}

TEST_F(live_rooms, register_again_when_the_link_comes_back) {
  start();
  const uint64_t room = make_room();
  auto& who = viewer(room, 0, true, true);
  groups[0]->fail();
  pass(200ms);
  groups[0]->serve();
  pass(200ms);
  EXPECT_EQ(groups[0]->count(LiveRequest::kInterest), 2U);
  EXPECT_EQ(groups[0]->got.back().interest().known().vroom(), room);
  groups[0]->frame(room, 1, "back");
  run();
  EXPECT_EQ(bodies(who), std::vector<std::string>{"back"});
}

TEST_F(live_rooms, send_commands_again_that_were_lost_with_a_link) {
  start();
  auto behaves = std::exchange(groups[0]->script, nullptr);
  const uint64_t room = make_room(5000);
  auto& who = connect(0, {}, true, 5000);
  vroom(who, 2, node(room));
  groups[0]->fail();
  groups[0]->got.clear();
  groups[0]->script = behaves;
  own("group-1", 2);
  const auto& got = groups[1]->got;
  ASSERT_GE(got.size(), 2U);
  EXPECT_TRUE(got[0].has_interest());
  EXPECT_TRUE(got[1].has_remove());
  EXPECT_TRUE(got[1].again());
  EXPECT_EQ(only(who), ok(2, node(room)));
}

TEST_F(live_rooms, ask_again_when_the_owner_says_it_is_none) {
  start();
  auto behaves = std::exchange(groups[0]->script, nullptr);
  groups[0]->script = [this](const LiveRequest& what) { groups[0]->answer(what, errc::wrong_owner); };
  auto& who = connect();
  const std::string room = node(make_room());
  vroom(who, 5, room);
  EXPECT_TRUE(who.messages().empty());
  groups[0]->script = behaves;
  pass(200ms);
  EXPECT_EQ(only(who), ok(5, room));
}

TEST_F(live_rooms, keep_a_push_for_an_owner_that_comes_soon) {
  start();
  groups[0]->fail();
  auto& who = connect();
  const uint64_t room = make_room();
  stream(who, node(room), "YQ==");
  stream(who, node(room), "Yg==");
  own("group-1", 2);
  ASSERT_EQ(groups[1]->count(LiveRequest::kPush), 2U);
  EXPECT_EQ(groups[1]->got.back().push().body(), "b");
  own("group-0", 3);
  stream(who, node(room), "Yw==");
  pass(3200ms);
  EXPECT_EQ(dropped("no_owner"), 1);
  EXPECT_TRUE(who.messages().empty());
}

TEST_F(live_rooms, end_when_nobody_knows_them_any_more) {
  start();
  const uint64_t room = make_room();
  auto& who = viewer(room);
  groups[1]->script = [this](const LiveRequest& what) { groups[1]->answer(what, errc::no_such_object); };
  own("group-1", 2);
  EXPECT_EQ(only(who), ok(2, node(room)));
  EXPECT_EQ(rooms->size(), 0U);
}

TEST_F(live_rooms, work_over_a_link_that_is_made_when_first_needed) {
  start();
  EXPECT_EQ(groups[0]->streams, 0U);
  viewer(make_room());
  EXPECT_EQ(groups[0]->streams, 1U);
  viewer(make_room());
  EXPECT_EQ(groups[0]->streams, 1U);
  EXPECT_EQ(metric("tern_gateway_live_links_up"), 1);
}

}  // namespace
}  // namespace tern::gateway

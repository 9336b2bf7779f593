#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

bool is_ack(const server_frame& frame) { return frame.type == frame_type::ack; }

TEST_P(protocol, 22_vroom_answers_every_command_of_its_owner) {
  auto owner = new_user("owner");
  auto guest = new_user("guest");
  const std::string room = new_vroom(*owner);
  EXPECT_NE(new_vroom(*owner), room) << "every room is another one";
  subscribe(*owner, room);
  subscribe(*owner, room);
  unsubscribe(*owner, room);
  unsubscribe(*owner, room);  // without a subscription
  grant(*owner, room, *guest);
  grant(*owner, room, *guest);
  take_grant(*owner, room, *guest);
  take_grant(*owner, room, *guest);  // of who has none
  vroom(*owner, 2, room);
  expect_room_over(*owner, room);
  for (const int32_t rtype : {2, 5}) {
    vroom(*owner, rtype, room);
    expect_vroom_refused(*owner, rtype, room, 4109);
  }
  for (const int32_t rtype : {3, 4}) {
    vroom(*owner, rtype, room, guest->node());
    expect_vroom_refused(*owner, rtype, room, 4109);
  }
}

TEST_P(protocol, 22_vroom_refuses_nodes_that_are_no_virtual_room) {
  auto owner = new_user("owner");
  const std::string room = new_vroom(*owner);
  std::string twisted = room;
  twisted[3] = twisted[3] == '2' ? '3' : '2';
  for (const std::string& node : {std::string(), std::string("nonsense"), owner->node(), to_node(room_id{5}),
                                  room.substr(1), room + "1", twisted, std::string(65, 'z')}) {
    if (from_node(node_kind::virtual_room, node)) continue;  // a wrong one passes the check byte once in 256 times
    for (const int32_t rtype : {2, 3, 4, 5, 6}) {
      vroom(*owner, rtype, node, owner->node());
      expect_vroom_refused(*owner, rtype, node, 4104);
    }
  }
}

TEST_P(protocol, 22_vroom_refuses_rooms_that_are_none) {
  auto alice = new_user("alice");
  const std::string room = to_node(node_kind::virtual_room, 0x123456789ABCDEFULL);
  for (const int32_t rtype : {2, 3, 4, 5}) {
    vroom(*alice, rtype, room, to_node(account_id{12345}));
    expect_vroom_refused(*alice, rtype, room, 4109);
  }
}

TEST_P(protocol, 22_vroom_lets_only_the_owner_remove_and_grant) {
  auto owner = new_user("owner");
  auto granted = new_user("granted");
  auto stranger = new_user("stranger");
  const std::string room = new_vroom(*owner);
  grant(*owner, room, *granted);
  for (auto* one : {granted.get(), stranger.get()}) {
    for (const int32_t rtype : {2, 3, 4}) {
      vroom(*one, rtype, room, stranger->node());
      expect_vroom_refused(*one, rtype, room, 4105);
    }
  }
  vroom(*owner, 3, room, owner->node());
  expect_vroom_refused(*owner, 3, room, 4104);
  vroom(*owner, 4, room, owner->node());
  expect_vroom_refused(*owner, 4, room, 4104);
  for (const std::string& node : {std::string(), std::string("nonsense"), room}) {
    for (const int32_t rtype : {3, 4}) {
      vroom(*owner, rtype, room, node);
      expect_vroom_refused(*owner, rtype, room, 4106);
    }
  }
  push(*granted, room, "still allowed");
  settle_room(*granted, room);
  expect_none(*granted, is_ack, "a refusal of who has the right");
}

TEST_P(protocol, 22_vroom_refuses_rtypes_that_are_none) {
  auto owner = new_user("owner");
  const std::string room = new_vroom(*owner);
  for (const int32_t rtype : {INT32_MIN, -1, 0, 7, 127, INT32_MAX}) {
    vroom(*owner, rtype, room);
    expect_vroom_refused(*owner, rtype, room, 4107);
  }
  owner->send(frame_type::vroom, wire::tim_req{});
  const auto ack = owner->next_ack();
  EXPECT_FALSE(ack.ok) << "no rtype at all";
}

TEST_P(protocol, 22_vroom_of_another_domain_is_none) {
  auto owner = new_user("owner");
  auto elsewhere = new_user("elsewhere", nullptr, "blue");
  const std::string room = new_vroom(*owner);
  // Also where a terminal of the same gateway has to do with it.
  std::vector<client_ptr> near;
  for (int i = 0; i < 2; ++i) subscribe(*near.emplace_back(new_user("near")), room);
  for (const int32_t rtype : {2, 3, 4, 5}) {
    vroom(*elsewhere, rtype, room, elsewhere->node());
    expect_vroom_refused(*elsewhere, rtype, room, 4109);
  }
  push(*elsewhere, room, "over the fence");
  expect_push_refused(*elsewhere, frame_type::stream, room, 4109);
  push(*owner, room, "inside");
  for (auto& one : near) expect_push(*one, room, "inside");
  expect_none(*elsewhere, is_push, "a frame of another domain");
}

TEST_P(protocol, 22_vroom_subscription_takes_the_form_of_the_last_request) {
  auto owner = new_user("owner");
  auto viewer = new_user("viewer");
  const std::string room = new_vroom(*owner);
  subscribe(*viewer, room);
  push(*owner, room, "one");
  EXPECT_FALSE(next_push(*viewer).binary);
  subscribe(*viewer, room, true);
  push(*owner, room, "two");
  const auto two = next_push(*viewer);
  EXPECT_TRUE(two.binary);
  EXPECT_EQ(two.body, "two") << "one subscription, not two";
  subscribe(*viewer, room);
  push(*owner, room, "three");
  const auto three = next_push(*viewer);
  EXPECT_FALSE(three.binary);
  EXPECT_EQ(three.body, "three");
  unsubscribe(*viewer, room);
  push(*owner, room, "four");
  settle_room(*owner, room);
  settle_room(*viewer, room);
  expect_none(*viewer, is_push, "a frame after the subscription's end");
}

TEST_P(protocol, 22_vroom_subscription_is_of_the_connection_that_asked) {
  std::string name;
  auto owner = new_user("owner");
  auto viewer = new_user("viewer", &name);
  auto phone = log_in(name);
  const std::string room = new_vroom(*owner);
  subscribe(*viewer, room);
  push(*owner, room, "one");
  expect_push(*viewer, room, "one");
  expect_none(*phone, is_push, "a frame for a terminal that did not subscribe");
  viewer.reset();
  viewer = log_in(name);
  push(*owner, room, "two");
  settle_room(*owner, room);
  settle_room(*viewer, room);
  expect_none(*viewer, is_push, "a frame on a new connection");
  subscribe(*viewer, room);
  push(*owner, room, "three");
  expect_push(*viewer, room, "three");
}

TEST_P(protocol, 22_vroom_grants_hold_at_every_gateway_until_they_are_taken) {
  auto owner = new_user_in_half(false, 0);
  auto guest = new_user_in_half(true, 1);
  std::vector<client_ptr> viewers;
  const std::string room = new_vroom(*owner);
  for (size_t i = 0; i < 4; ++i) subscribe(*viewers.emplace_back(new_user_in_half(i / 2 == 1, i % 2)), room);
  push(*guest, room, "too early");
  expect_push_refused(*guest, frame_type::stream, room, 4105);
  grant(*owner, room, *guest);
  push(*guest, room, "granted");
  for (auto& one : viewers) expect_push(*one, room, "granted");
  take_grant(*owner, room, *guest);
  push(*guest, room, "too late");
  expect_push_refused(*guest, frame_type::stream, room, 4105);
  push(*owner, room, "the owner's");
  for (auto& one : viewers) expect_push(*one, room, "the owner's");
  grant(*owner, room, *guest);
  push(*guest, room, "again");
  for (auto& one : viewers) expect_push(*one, room, "again");
}

TEST_P(protocol, 22_vroom_removal_tells_every_subscriber_once) {
  auto owner = new_user("owner");
  const std::string room = new_vroom(*owner);
  const std::string other = new_vroom(*owner);
  std::vector<client_ptr> viewers;
  for (int i = 0; i < 4; ++i) {
    auto& one = *viewers.emplace_back(new_user("viewer"));
    subscribe(one, room, i % 2 == 1);
    subscribe(one, other);
  }
  auto gone = new_user("gone");
  subscribe(*gone, room);
  unsubscribe(*gone, room);
  subscribe(*owner, room);
  push(*owner, room, "the last frame");
  vroom(*owner, 2, room);
  expect_room_over(*owner, room);
  for (auto& one : viewers) {
    expect_room_over(*one, room);
    expect_push(*one, room, "the last frame");
  }
  push(*owner, other, "another room goes on");
  for (auto& one : viewers) {
    expect_push(*one, other, "another room goes on");
    settle_room(*one, other);
    expect_none(*one, is_ack, "a second answer");
  }
  expect_none(*gone, is_ack, "news for who is no subscriber");
  settle_room(*owner, other);
  expect_none(*owner, is_ack, "a second answer to the owner");
  push(*owner, room, "into nothing");
  expect_push_refused(*owner, frame_type::stream, room, 4109);
}

TEST_P(protocol, 22_vroom_outlives_its_owners_connection_while_somebody_watches) {
  std::string name;
  auto owner = new_user("owner", &name);
  auto viewer = new_user("viewer");
  const std::string room = new_vroom(*owner);
  subscribe(*viewer, room);
  owner.reset();
  owner = log_in(name);
  push(*owner, room, "back");
  expect_push(*viewer, room, "back");
  vroom(*owner, 2, room);
  expect_room_over(*owner, room);
  expect_room_over(*viewer, room);
}

TEST_P(protocol, 22_vroom_limits_rooms_and_subscriptions_of_a_connection) {
  constexpr size_t rooms_each = 16, most = 64;
  std::vector<client_ptr> owners;
  std::vector<std::string> rooms;
  for (int i = 0; i < 5; ++i) {
    auto& owner = *owners.emplace_back(new_user("owner"));
    for (size_t k = 0; k < rooms_each; ++k) rooms.push_back(new_vroom(owner));
    vroom(owner, 1);
    expect_vroom_refused(owner, 1, "", 4111);
  }
  auto viewer = new_user("viewer");
  for (size_t i = 0; i < most; ++i) subscribe(*viewer, rooms[i]);
  vroom(*viewer, 5, rooms[most]);
  expect_vroom_refused(*viewer, 5, rooms[most], 4111);
  subscribe(*viewer, rooms[0], true);  // has it already
  unsubscribe(*viewer, rooms[1]);
  subscribe(*viewer, rooms[most]);
  vroom(*owners[0], 2, rooms[0]);
  expect_room_over(*owners[0], rooms[0]);
  expect_room_over(*viewer, rooms[0]);
  new_vroom(*owners[0]);
  subscribe(*viewer, rooms[most + 1]);
}

}  // namespace
}  // namespace tern::testing

// MESSAGE with odType 5: of the moment, stored nowhere, acknowledged by nobody.
#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

wire::tim_message live(wire::tim_message message) {
  message.od_type = 5;
  return message;
}

bool is_live(tim_client& at, const server_frame& frame) {
  return frame.type == frame_type::message && at.read<wire::tim_message>(frame).od_type == 5;
}

TEST_P(protocol, 90_message_odtype5_reaches_every_terminal_of_a_friend_and_nobody_else) {
  std::string alice_name, bob_name;
  auto alice = new_user("alice", &alice_name);
  auto bob = new_user("bob", &bob_name);
  befriend(*alice, *bob);
  auto alice_phone = log_in(alice_name), bob_phone = log_in(bob_name);
  for (const std::string text : {"one", "two", "three"}) {
    alice->send(frame_type::message, live(text_message(bob->node(), text, 77)));
    for (auto* one : {bob.get(), bob_phone.get()}) EXPECT_EQ(expect_live(*one, alice->node(), text).id, 77);
  }
  alice->send(frame_type::message, live(text_message(bob->node(), "no id")));
  for (auto* one : {bob.get(), bob_phone.get()}) expect_live(*one, alice->node(), "no id");
  for (auto* one : {alice.get(), alice_phone.get()}) {
    settle(*one);
    expect_none(
        *one, [&](const server_frame& f) { return f.type == frame_type::ack || is_live(*one, f); }, "an answer");
  }
}

TEST_P(protocol, 90_message_odtype5_crosses_session_nodes_in_order) {
  auto alice = new_user_in_half(false, 0);
  auto bob = new_user_in_half(true, 1);
  befriend(*alice, *bob);
  constexpr int count = 300;
  for (int i = 0; i < count; ++i)
    alice->send(frame_type::message, live(text_message(bob->node(), std::to_string(i))));
  for (int i = 0; i < count; ++i) expect_live(*bob, alice->node(), std::to_string(i));
}

TEST_P(protocol, 90_message_odtype5_carries_every_field_but_the_sender) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  auto message = live(text_message(bob->node(), "text"));
  message.from_tid.emplace().node = bob->node();  // forged
  message.mid = 5;
  message.timestamp = 1;
  message.is_offline = true;
  message.data_binary = std::string_view("\0\xff\x01", 3);
  message.extend = wire::string_map{{"k", "v"}};
  message.extra = wire::string_map{{"b", std::string_view("\xfe\0", 2)}};
  alice->send(frame_type::message, message);
  const auto frame = bob->find([&](const server_frame& f) { return is_live(*bob, f); });
  ASSERT_TRUE(frame);
  const auto got = bob->read<wire::tim_message>(*frame);
  EXPECT_EQ(got.from_tid->node, alice->node());
  EXPECT_FALSE(got.mid);
  EXPECT_GT(got.timestamp.value_or(0), 1'600'000'000'000'000'000);
  EXPECT_FALSE(got.is_offline.value_or(false));
  EXPECT_EQ(got.data_binary, message.data_binary);
  EXPECT_EQ(got.extend, message.extend);
  EXPECT_EQ(got.extra, message.extra);
}

TEST_P(protocol, 90_message_odtype5_is_refused_as_a_message_is) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  auto elsewhere = new_user("elsewhere", nullptr, "blue");
  alice->send(frame_type::message, live(text_message(bob->node(), "stranger")));
  expect_refused(*alice, frame_type::message, 4105);
  alice->send(frame_type::message, live(text_message(elsewhere->node(), "other domain")));
  EXPECT_FALSE(alice->next_ack().ok);
  alice->send(frame_type::message, live(text_message("nonsense", "x")));
  expect_refused(*alice, frame_type::message, 4106);
  befriend(*alice, *bob);
  business(*bob, 7, alice->node());
  expect_ok(*bob, frame_type::business, 7);
  expect_notice(*alice, bob->node(), 7);
  alice->send(frame_type::message, live(text_message(bob->node(), "blocked")));
  expect_refused(*alice, frame_type::message, 4110);
  for (auto* one : {bob.get(), elsewhere.get()}) {
    expect_none(
        *one, [&](const server_frame& f) { return is_live(*one, f); }, "a refused message");
  }
}

TEST_P(protocol, 90_message_odtype5_is_in_no_history_and_not_kept) {
  auto alice = new_user("alice");
  std::string name;
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  alice->send(frame_type::message, live(text_message(bob->node(), "seen")));
  expect_live(*bob, alice->node(), "seen");
  drain(*bob);
  const std::string node = bob->node();
  bob.reset();
  EXPECT_TRUE(expect_presence(*alice, node).offline.value_or(false));
  alice->send(frame_type::message, live(text_message(node, "missed")));
  settle(*alice);
  bob = log_in(name);
  for (const auto& m : drain(*bob)) EXPECT_EQ(m.od_type, 4) << m.text;
  EXPECT_TRUE(pull(*bob, history(1, alice->node(), 0, 10)).empty());
  EXPECT_EQ(send_text(*alice, node, "the first that is stored"), 1) << "no mid was used";
}

TEST_P(protocol, 90_message_odtype5_to_a_room_reaches_members_but_not_the_sender) {
  auto founder = new_user_in_half(false, 0);
  std::string name;
  auto talker = new_user("talker", &name);
  auto phone = log_in(name);
  std::vector<client_ptr> members;
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *talker);
  for (size_t i = 0; i < 4; ++i) pull_in(*founder, room, *members.emplace_back(new_user_in_half(i < 2, i % 2)));
  constexpr int count = 50;
  for (int i = 0; i < count; ++i) {
    talker->send(frame_type::message, live(room_message(room, std::to_string(i))));
  }
  members.push_back(std::move(founder));
  for (auto& one : members) {
    for (int i = 0; i < count; ++i) {
      EXPECT_EQ(expect_live(*one, talker->node(), std::to_string(i)).room, room);
    }
  }
  const int64_t mid = send_to_room(*talker, room, "stored");
  for (auto& one : members) EXPECT_EQ(expect_room_text(*one, room, "stored").mid, mid);
  for (auto* one : {talker.get(), phone.get()}) {
    settle(*one);
    expect_none(
        *one, [&](const server_frame& f) { return f.type == frame_type::ack || is_live(*one, f); }, "an answer");
  }
  const auto page = pull(*talker, history(2, room, 0, 100));
  for (const auto& m : page) EXPECT_NE(m.od_type, 5);
}

TEST_P(protocol, 90_message_odtype5_to_a_room_needs_membership) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  auto stranger = new_user("stranger");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  stranger->send(frame_type::message, live(room_message(room, "x")));
  expect_refused(*stranger, frame_type::message, 4105);
  business(*member, 16, room);
  expect_ok(*member, frame_type::business, 16);
  member->send(frame_type::message, live(room_message(room, "x")));
  expect_refused(*member, frame_type::message, 4105);
  founder->send(frame_type::message, live(room_message(room, "alone")));
  settle(*founder);
  for (auto* one : {founder.get(), member.get(), stranger.get()}) {
    expect_none(
        *one, [&](const server_frame& f) { return is_live(*one, f); }, "a message of a room one is not in");
  }
}

TEST_P(protocol, 90_message_odtype5_in_a_room_between_two_members) {
  auto founder = new_user("founder");
  auto one = new_user("one"), other = new_user("other");
  auto stranger = new_user("stranger");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *one);
  pull_in(*founder, room, *other);
  const auto whisper = [&](const std::string& to, std::string_view text) {
    auto message = live(text_message(to, text));
    message.room_tid.emplace().node = room;
    return message;
  };
  one->send(frame_type::message, whisper(other->node(), "psst"));
  EXPECT_EQ(expect_live(*other, one->node(), "psst").room, room);
  one->send(frame_type::message, whisper(stranger->node(), "psst"));
  expect_refused(*one, frame_type::message, 4105);
  stranger->send(frame_type::message, whisper(one->node(), "psst"));
  expect_refused(*stranger, frame_type::message, 4105);
  for (auto* each : {founder.get(), one.get(), stranger.get()}) {
    expect_none(
        *each, [&](const server_frame& f) { return is_live(*each, f); }, "what is private to others");
  }
}

TEST_P(protocol, 90_message_odtype5_to_a_room_is_not_kept) {
  auto founder = new_user("founder");
  std::string name;
  auto member = new_user("member", &name);
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  drain(*member);
  member.reset();
  founder->send(frame_type::message, live(room_message(room, "missed")));
  settle(*founder);
  const int64_t mid = send_to_room(*founder, room, "stored");
  member = log_in(name);
  bool stored = false;
  for (const auto& m : drain(*member)) {
    EXPECT_NE(m.od_type, 5) << m.text;
    stored = stored || (m.room == room && m.mid == mid);
  }
  EXPECT_TRUE(stored);
}

}  // namespace
}  // namespace tern::testing

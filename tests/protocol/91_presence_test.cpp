#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

wire::tim_presence presence(std::string_view status, std::string_view to = {}) {
  wire::tim_presence out;
  out.status = status;
  if (!to.empty()) out.to_tid.emplace().node = to;
  return out;
}

bool is_presence(const server_frame& frame) { return frame.type == frame_type::presence; }

TEST_P(protocol, 91_presence_goes_to_a_friend_as_it_was_sent) {
  auto alice = new_user_in_half(false, 0);
  auto bob = new_user_in_half(true, 1);
  befriend(*alice, *bob);
  auto sent = presence("gone fishing", bob->node());
  sent.id = 5;
  sent.show = int16_t{3};
  sent.sub_status = int8_t{-2};
  sent.extend = wire::string_map{{"k", "v"}};
  sent.extra = wire::string_map{{"b", std::string_view("\xfe\0", 2)}};
  sent.from_tid.emplace().node = bob->node();  // forged
  alice->send(frame_type::presence, sent);
  const auto got = expect_presence(*bob, alice->node());
  EXPECT_EQ(got.status, "gone fishing");
  EXPECT_EQ(got.show, 3);
  EXPECT_EQ(got.sub_status, -2);
  EXPECT_EQ(got.extend, sent.extend);
  EXPECT_EQ(got.extra, sent.extra);
  EXPECT_FALSE(got.offline.value_or(false));
}

TEST_P(protocol, 91_presence_goes_to_every_terminal_and_is_never_kept) {
  std::string name;
  auto alice = new_user("alice");
  auto bob = new_user("bob", &name);
  auto phone = log_in(name);
  befriend(*alice, *bob);
  const std::string node = bob->node();
  alice->send(frame_type::presence, presence("here", node));
  for (auto* one : {bob.get(), phone.get()}) EXPECT_EQ(expect_presence(*one, alice->node()).status, "here");
  bob.reset();
  phone.reset();
  // Its PRESENCE offline says that the server knows.
  EXPECT_TRUE(expect_presence(*alice, node).offline.value_or(false));
  alice->send(frame_type::presence, presence("missed", node));
  settle(*alice);
  bob = log_in(name);
  alice->send(frame_type::presence, presence("second", node));
  EXPECT_EQ(expect_presence(*bob, alice->node()).status, "second") << "what was missed is not kept";
}

TEST_P(protocol, 91_presence_to_a_list_leaves_out_who_is_no_friend) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  auto carol = new_user("carol");
  auto stranger = new_user("stranger");
  befriend(*alice, *bob);
  befriend(*alice, *carol);
  auto sent = presence("list");
  sent.to_list = std::vector<wire::text>{bob->node(), stranger->node(), carol->node(), bob->node()};
  alice->send(frame_type::presence, sent);
  for (auto* one : {bob.get(), carol.get()}) EXPECT_EQ(expect_presence(*one, alice->node()).status, "list");
  expect_none(*bob, is_presence, "a second presence for a node that was named twice");
  expect_none(*stranger, is_presence, "presence of a stranger");
  const auto is_ack = [](const server_frame& f) { return f.type == frame_type::ack; };
  settle(*alice);
  expect_none(*alice, is_ack, "an answer");
}

TEST_P(protocol, 91_presence_is_refused_for_strangers_and_without_target) {
  auto alice = new_user("alice");
  auto stranger = new_user("stranger");
  auto elsewhere = new_user("elsewhere", nullptr, "blue");
  alice->send(frame_type::presence, presence("x", stranger->node()));
  expect_refused(*alice, frame_type::presence, 4105);
  alice->send(frame_type::presence, presence("x", elsewhere->node()));
  expect_refused(*alice, frame_type::presence, 4105);
  alice->send(frame_type::presence, presence("x", "nonsense"));
  expect_refused(*alice, frame_type::presence, 4106);
  alice->send(frame_type::presence, presence("x"));
  expect_refused(*alice, frame_type::presence, 4104);
  expect_none(*stranger, is_presence, "presence of a stranger");
  business(*stranger, 7, alice->node());
  expect_ok(*stranger, frame_type::business, 7);
  alice->send(frame_type::presence, presence("x", stranger->node()));
  expect_refused(*alice, frame_type::presence, 4105);
}

TEST_P(protocol, 91_presence_offline_tells_friends_when_the_last_terminal_goes) {
  std::string name;
  auto alice = new_user("alice");
  auto stranger = new_user("stranger");
  auto bob = new_user("bob", &name);
  auto phone = log_in(name);
  befriend(*alice, *bob);
  const std::string node = bob->node();
  bob.reset();
  // One of two: the account's other terminals hear it.
  EXPECT_TRUE(expect_presence(*phone, node).offline.value_or(false));
  phone.reset();
  EXPECT_TRUE(expect_presence(*alice, node).offline.value_or(false));
  expect_none(*alice, is_presence, "a second one");
  expect_none(*stranger, is_presence, "one for a stranger");
}

TEST_P(protocol, 91_presence_to_the_own_terminals_is_allowed) {
  std::string name;
  auto alice = new_user("alice", &name);
  auto phone = log_in(name);
  alice->send(frame_type::presence, presence("note to self", alice->node()));
  EXPECT_EQ(expect_presence(*phone, alice->node()).status, "note to self");
}

TEST_P(protocol, 19_broadpresence_goes_to_all_friends_or_to_those_named) {
  auto alice = new_user_in_half(false, 0);
  auto bob = new_user_in_half(true, 1);
  auto carol = new_user_in_half(false, 1);
  auto stranger = new_user("stranger");
  befriend(*alice, *bob);
  befriend(*alice, *carol);
  alice->send(frame_type::broadpresence, presence("to all"));
  for (auto* one : {bob.get(), carol.get()}) EXPECT_EQ(expect_presence(*one, alice->node()).status, "to all");
  alice->send(frame_type::broadpresence, presence("to one", bob->node()));
  EXPECT_EQ(expect_presence(*bob, alice->node()).status, "to one");
  auto list = presence("to a list");
  list.to_list = std::vector<wire::text>{carol->node(), stranger->node()};
  alice->send(frame_type::broadpresence, list);
  EXPECT_EQ(expect_presence(*carol, alice->node()).status, "to a list");
  expect_none(*stranger, is_presence, "presence of a stranger");
  business(*carol, 6, alice->node());
  expect_ok(*carol, frame_type::business, 6);
  expect_notice(*alice, carol->node(), 6);
  alice->send(frame_type::broadpresence, presence("who is left"));
  EXPECT_EQ(expect_presence(*bob, alice->node()).status, "who is left");
  expect_none(*carol, is_presence, "presence of a former friend");
}

TEST_P(protocol, 19_broadpresence_of_who_has_no_friends_is_silent) {
  auto alice = new_user("alice");
  alice->send(frame_type::broadpresence, presence("anybody?"));
  settle(*alice);
  expect_none(
      *alice, [](const server_frame&) { return true; }, "an answer");
}

}  // namespace
}  // namespace tern::testing

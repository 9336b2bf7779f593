#include <algorithm>

#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

bool has_mid(const std::vector<seen_message>& page, int64_t mid) {
  return std::any_of(page.begin(), page.end(), [&](const seen_message& m) { return m.mid == mid && m.od_type == 1; });
}

TEST_P(protocol, 92_revokemessage_takes_a_message_out_of_both_histories_and_tells_every_terminal) {
  std::string alice_name;
  auto alice = new_user("alice", &alice_name);
  auto alice_phone = log_in(alice_name);
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  const int64_t kept = send_text(*alice, bob->node(), "kept");
  const int64_t gone = send_text(*alice, bob->node(), "gone");
  expect_text(*bob, alice->node(), "kept", kept);
  expect_text(*bob, alice->node(), "gone", gone);
  alice->send(frame_type::revokemessage, recall(2, bob->node(), {}, gone));
  for (auto* one : {bob.get(), alice.get(), alice_phone.get()}) {
    const auto notice = expect_message(
        *one, [](const seen_message& m) { return m.od_type == 2; }, "the recall");
    EXPECT_EQ(notice.mid, gone);
    EXPECT_EQ(notice.from, alice->node());
  }
  for (auto* one : {alice.get(), bob.get()}) {
    const auto page = pull(*one, history(1, one == bob.get() ? alice->node() : bob->node(), 0, 10));
    EXPECT_TRUE(has_mid(page, kept));
    EXPECT_FALSE(has_mid(page, gone));
    EXPECT_EQ(page.size(), 1U) << "the recall itself is not listed";
  }
}

TEST_P(protocol, 92_revokemessage_reaches_a_recipient_before_the_message_does) {
  auto alice = new_user("alice");
  std::string name;
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  const std::string node = bob->node();
  settle(*bob);
  bob.reset();
  send_text(*alice, node, "kept");
  const int64_t gone = send_text(*alice, node, "gone");
  send_text(*alice, node, "kept too");
  alice->send(frame_type::revokemessage, recall(2, node, {}, gone));
  expect_message(
      *alice, [](const seen_message& m) { return m.od_type == 2; }, "the recall");
  bob = log_in(name);
  std::vector<std::string> texts;
  for (const auto& m : drain(*bob)) {
    if (m.od_type == 1) texts.push_back(m.text);
    EXPECT_NE(m.text, "gone");
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"kept", "kept too"}));
  expect_no_text(*bob, "gone");
}

TEST_P(protocol, 92_revokemessage_waits_for_who_has_the_message_and_went_off_line) {
  auto alice = new_user("alice");
  std::string name;
  auto bob = new_user("bob", &name);
  befriend(*alice, *bob);
  const std::string node = bob->node();
  const int64_t mid = send_text(*alice, node, "seen");
  expect_text(*bob, alice->node(), "seen", mid);
  settle(*bob);
  bob.reset();
  alice->send(frame_type::revokemessage, recall(2, node, {}, mid));
  expect_message(
      *alice, [](const seen_message& m) { return m.od_type == 2; }, "the recall");
  bob = log_in(name);
  const auto got = drain(*bob);
  const auto is_recall = [&](const seen_message& m) { return m.od_type == 2 && m.mid == mid; };
  if (std::none_of(got.begin(), got.end(), is_recall)) expect_message(*bob, is_recall, "the recall");
}

TEST_P(protocol, 92_revokemessage_by_the_author_only_and_of_what_there_is) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  const int64_t mid = send_text(*alice, bob->node(), "text");
  bob->send(frame_type::revokemessage, recall(2, alice->node(), {}, mid));
  expect_refused(*bob, frame_type::revokemessage, 4105);
  for (const int64_t wrong : {mid + 1, int64_t{0}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    alice->send(frame_type::revokemessage, recall(2, bob->node(), {}, wrong));
    expect_refused(*alice, frame_type::revokemessage, 4104);
  }
  alice->send(frame_type::revokemessage, recall(2, {}, {}, mid));
  expect_refused(*alice, frame_type::revokemessage, 4104);
  const std::string room = new_room(*alice);
  auto both = recall(2, bob->node(), room, mid);
  alice->send(frame_type::revokemessage, both);
  expect_refused(*alice, frame_type::revokemessage, 4104);
  EXPECT_EQ(pull(*bob, history(1, alice->node(), 0, 10)).size(), 1U);
}

TEST_P(protocol, 92_revokemessage_twice_is_no_error) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  const int64_t mid = send_text(*alice, bob->node(), "text");
  for (int round = 0; round < 2; ++round) {
    alice->send(frame_type::revokemessage, recall(2, bob->node(), {}, mid));
    settle(*alice);
    const auto refused = [&](const server_frame& f) {
      return f.type == frame_type::ack && !alice->read<wire::tim_ack>(f).ok;
    };
    expect_none(*alice, refused, "an error");
  }
  expect_message(
      *bob, [&](const seen_message& m) { return m.od_type == 2 && m.mid == mid; }, "the recall");
}

TEST_P(protocol, 92_revokemessage_in_a_room_tells_the_members) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  auto third = new_user("third");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  pull_in(*founder, room, *third);
  const int64_t kept = send_to_room(*member, room, "kept");
  const int64_t gone = send_to_room(*member, room, "gone");
  // Not even the founder may: only the author.
  founder->send(frame_type::revokemessage, recall(2, {}, room, gone));
  expect_refused(*founder, frame_type::revokemessage, 4105);
  member->send(frame_type::revokemessage, recall(2, {}, room, gone));
  const auto ack = expect_ok(*member, frame_type::revokemessage, 3);
  EXPECT_EQ(ack.n, room);
  EXPECT_EQ(ack.t2, gone);
  for (auto* one : {founder.get(), member.get(), third.get()}) {
    const auto notice = expect_message(
        *one, [&](const seen_message& m) { return m.od_type == 2 && m.room == room; }, "the recall");
    EXPECT_EQ(notice.mid, gone);
    EXPECT_EQ(notice.from, member->node());
    const auto page = pull(*one, history(2, room, 0, 10));
    EXPECT_TRUE(has_mid(page, kept));
    EXPECT_EQ(page.size(), 1U);
  }
}

TEST_P(protocol, 92_revokemessage_in_a_room_spares_members_off_line_the_message) {
  auto founder = new_user("founder");
  std::string name;
  auto member = new_user("member", &name);
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  settle(*member);
  member.reset();
  send_to_room(*founder, room, "kept");
  const int64_t gone = send_to_room(*founder, room, "gone");
  send_to_room(*founder, room, "kept too");
  founder->send(frame_type::revokemessage, recall(2, {}, room, gone));
  expect_ok(*founder, frame_type::revokemessage, 3);
  member = log_in(name);
  std::vector<std::string> texts;
  for (const auto& m : drain(*member)) {
    if (m.od_type == 1 && m.room == room) texts.push_back(m.text);
    EXPECT_FALSE(m.od_type == 2 && m.mid == gone) << "a recall of what the client never saw";
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"kept", "kept too"}));
}

TEST_P(protocol, 92_revokemessage_in_a_room_is_for_members) {
  auto founder = new_user("founder");
  auto member = new_user("member");
  const std::string room = new_room(*founder);
  pull_in(*founder, room, *member);
  const int64_t mid = send_to_room(*member, room, "mine");
  business(*member, 16, room);
  expect_ok(*member, frame_type::business, 16);
  member->send(frame_type::revokemessage, recall(2, {}, room, mid));
  expect_refused(*member, frame_type::revokemessage, 4105);
  EXPECT_EQ(pull(*founder, history(2, room, 0, 10)).size(), 1U);
}

}  // namespace
}  // namespace tern::testing

#include "services/session/testing/room_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

class recall_test : public room_fixture {
 protected:
  void SetUp() override {
    for (const account_id who : {alice, bob, member, manager}) terminal_of(who);
    ask(alice, frame_type::message, text_to(bob_node, "one"));
    for (const auto& one : frames(terminal_of(bob), frame_type::message)) ack(terminal_of(bob), bob, one.ref());
    settle();
    auto in_room = text_to(open_node, "two");
    in_room.ms_type = 3;
    in_room.room_tid = in_room.to_tid;
    in_room.to_tid.reset();
    ask(member, frame_type::message, in_room);
    forget_all();
  }
  static wire::tid tid_of(std::string_view node) {
    wire::tid out;
    out.node = node;
    return out;
  }
  static wire::tim_message recall(std::optional<std::string_view> to, std::optional<std::string_view> room,
                                  std::optional<int64_t> mid, int8_t od_type = 2) {
    wire::tim_message out;
    out.ms_type = room ? 3 : 2;
    out.od_type = od_type;
    if (to) out.to_tid = tid_of(*to);
    if (room) out.room_tid = tid_of(*room);
    out.mid = mid;
    return out;
  }
  void revoke(account_id who, const wire::tim_message& what) { ask(who, frame_type::revokemessage, what); }
  void burn(account_id who, const wire::tim_message& what) { ask(who, frame_type::burnmessage, what); }
  size_t listed(account_id who, int32_t rtype, const std::string& node) {
    auto req = req_of(rtype, node);
    req.req_int2 = 10;
    ask(who, frame_type::pullmessage, req);
    const auto pages = frames(terminal_of(who), frame_type::pullmessage);
    return pages.empty() ? 0 : list_of(pages[0]).size();
  }
  const std::string alice_node = to_node(alice), bob_node = to_node(bob), open_node = to_node(open);
  const std::string member_node = to_node(member), manager_node = to_node(manager);
  const std::string outsider_node = to_node(outsider);
  const std::string strange_rooms[4] = {to_node(nowhere), to_node(foreign_room), "0OIl", to_node(alice)};
};

TEST_F(recall_test, the_author_takes_a_message_back_and_both_sides_are_told) {
  ASSERT_TRUE(log_on(1, alice));
  auto what = recall(bob_node, {}, 1);
  what.od_type = 1;  // the frame's type says what it is
  what.from_tid = tid_of(bob_node);
  revoke(alice, what);
  EXPECT_FALSE(answer(alice));
  for (const uint64_t conn : {terminal_of(alice), terminal_of(bob), uint64_t{1}}) {
    const auto got = frames(conn, frame_type::message);
    ASSERT_EQ(got.size(), 1U) << conn;
    const auto seen = message_of(got[0]);
    EXPECT_EQ(seen.od_type, 2);
    EXPECT_EQ(seen.ms_type, 2);
    EXPECT_EQ(seen.mid, 1);
    EXPECT_EQ(seen.from_tid->node, alice_node);
    EXPECT_EQ(seen.to_tid->node, bob_node);
    EXPECT_FALSE(seen.data_string);
  }
  EXPECT_EQ(listed(alice, 1, bob_node), 0U);
  EXPECT_EQ(listed(bob, 1, alice_node), 0U);
}

TEST_F(recall_test, the_recipient_burns_a_message_after_reading) {
  burn(bob, recall(alice_node, {}, 1, 3));
  for (const account_id who : {alice, bob}) {
    const auto got = messages(who);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].od_type, 3);
    EXPECT_EQ(got[0].mid, 1);
    EXPECT_EQ(got[0].from_tid->node, bob_node);
  }
  EXPECT_EQ(listed(alice, 1, bob_node), 0U);
}

TEST_F(recall_test, a_repeated_recall_is_answered_again_to_who_asked_only) {
  ASSERT_TRUE(log_on(1, alice));
  revoke(alice, recall(bob_node, {}, 1));
  forget_all();
  revoke(alice, recall(bob_node, {}, 1));
  EXPECT_EQ(messages(alice).size(), 1U);
  EXPECT_TRUE(frames(1, frame_type::message).empty());
  EXPECT_TRUE(messages(bob).empty());
  burn(bob, recall(alice_node, {}, 1, 3));  // by the other side, of what is gone already
  const auto again = messages(bob);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].mid, 1);
  EXPECT_TRUE(again[0].timestamp);
  EXPECT_TRUE(messages(alice).empty());
}

TEST_F(recall_test, a_message_to_a_room_is_revoked_by_its_author_with_an_answer) {
  revoke(member, recall({}, open_node, 1));
  const auto got = answer(member);
  ASSERT_TRUE(got && got->ok);
  EXPECT_EQ(got->tim_type, 92);
  EXPECT_EQ(got->n, open_node);
  EXPECT_EQ(got->t, 3);
  EXPECT_EQ(got->t2, 1);
  const auto seen = messages(member);
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].od_type, 2);
  EXPECT_EQ(seen[0].ms_type, 3);
  EXPECT_EQ(seen[0].mid, 1);
  EXPECT_EQ(listed(manager, 2, open_node), 0U);
  revoke(member, recall({}, open_node, 1));
  EXPECT_TRUE(answer(member)->ok);
  EXPECT_EQ(messages(member).size(), 1U);
}

TEST_F(recall_test, errors_of_a_revoke_are_those_of_the_table) {
  const auto expect_error = [&](account_id who, const wire::tim_message& what, int32_t expected) {
    revoke(who, what);
    EXPECT_EQ(code(who), expected);
  };
  expect_error(bob, recall(alice_node, {}, 1), 4105);
  for (const int64_t mid : {int64_t{0}, int64_t{-1}, INT64_MIN, int64_t{2}, INT64_MAX})
    expect_error(alice, recall(bob_node, {}, mid), 4104);
  expect_error(alice, recall(bob_node, {}, std::nullopt), 4104);
  expect_error(alice, recall({}, {}, 1), 4104);
  expect_error(alice, recall(bob_node, open_node, 1), 4104);
  expect_error(alice, recall(outsider_node, {}, 1), 4104);
  expect_error(alice, recall(alice_node, {}, 1), 4105);
  expect_error(alice, recall("zzz", {}, 1), 4106);
  auto elsewhere = recall(bob_node, {}, 1);
  elsewhere.to_tid->domain = other_domain;
  expect_error(alice, elsewhere, 4106);
  // In a room: author only, members only.
  expect_error(alice, recall({}, open_node, 1), 4105);
  expect_error(outsider, recall({}, open_node, 1), 4105);
  expect_error(tenant, recall({}, open_node, 1), 4105);
  expect_error(member, recall({}, open_node, 9), 4104);
  expect_error(member, recall({}, open_node, 0), 4104);
  for (const auto& node : strange_rooms) expect_error(member, recall({}, node, 1), 4105);
  EXPECT_EQ(listed(alice, 1, bob_node), 1U);
  EXPECT_EQ(listed(alice, 2, open_node), 1U);
}

TEST_F(recall_test, a_recall_itself_cannot_be_recalled) {
  revoke(alice, recall(bob_node, {}, 1));
  forget_all();
  revoke(alice, recall(bob_node, {}, 2));
  EXPECT_EQ(code(alice), 4104);
}

TEST_F(recall_test, errors_of_a_burn_are_those_of_the_table) {
  const auto expect_error = [&](account_id who, const wire::tim_message& what, int32_t expected) {
    burn(who, what);
    EXPECT_EQ(code(who), expected);
  };
  expect_error(alice, recall(bob_node, {}, 1, 3), 4105);
  expect_error(bob, recall(alice_node, open_node, 1, 3), 4104);
  expect_error(bob, recall({}, open_node, 1, 3), 4104);
  expect_error(bob, recall({}, {}, 1, 3), 4104);
  for (const int64_t mid : {int64_t{0}, int64_t{-5}, int64_t{2}, INT64_MAX})
    expect_error(bob, recall(alice_node, {}, mid, 3), 4104);
  expect_error(bob, recall(member_node, {}, 1, 3), 4104);
  expect_error(bob, recall("0OIl", {}, 1, 3), 4106);
  EXPECT_EQ(listed(alice, 1, bob_node), 1U);
}

TEST_F(recall_test, a_revoke_sent_behind_its_message_follows_it) {
  const uint64_t conn = terminal_of(alice);
  frame(conn, alice, frame_type::message, text_to(bob_node, "oops"));
  frame(conn, alice, frame_type::revokemessage, recall(bob_node, {}, 2));
  settle();
  EXPECT_EQ(code(alice), 0);
  EXPECT_EQ(listed(alice, 1, bob_node), 1U);
  EXPECT_EQ(listed(bob, 1, alice_node), 1U);
}

TEST_F(recall_test, failures_are_told_in_the_clients_words_with_the_place) {
  storage.fail_next(storage::v1::StorageRequest::kRecall, errc::deadline);
  revoke(alice, recall(bob_node, {}, 1));
  EXPECT_EQ(code(alice), 5103);
  room_owner.fail_next(errc::overload);
  revoke(member, recall({}, open_node, 1));
  const auto got = answer(member);
  ASSERT_TRUE(got && got->error);
  EXPECT_EQ(got->error->code, 5104);
  EXPECT_EQ(got->n, open_node);
  EXPECT_EQ(got->t, 3);
}

}  // namespace
}  // namespace tern::session

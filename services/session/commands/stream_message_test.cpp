#include "services/session/commands/stream_message.hpp"

#include "services/session/testing/room_fixture.hpp"

namespace tern::session {
namespace {

using storage::v1::StorageRequest;
using wire::frame_type;

class stream_message_test : public room_fixture {
 protected:
  static wire::tid tid_of(std::string_view node) {
    wire::tid out;
    out.node = node;
    return out;
  }
  static wire::tim_message now_to(const std::string& node, std::string_view text) {
    auto out = text_to(node, text);
    out.od_type = 5;
    return out;
  }
  static wire::tim_message now_in(const std::string& room, std::string_view text) {
    wire::tim_message out;
    out.ms_type = 3;
    out.od_type = 5;
    out.room_tid = tid_of(room);
    out.data_string = text;
    return out;
  }
  static wire::tim_message privately(const std::string& node, const std::string& room, std::string_view text) {
    auto out = now_to(node, text);
    out.room_tid = tid_of(room);
    return out;
  }
  std::vector<std::string> texts(account_id who) {
    std::vector<std::string> out;
    for (const auto& one : messages(who)) out.emplace_back(*one.data_string);
    return out;
  }
  using strings = std::vector<std::string>;
  const std::string alice_node = to_node(alice), bob_node = to_node(bob), member_node = to_node(member);
  const std::string outsider_node = to_node(outsider), open_node = to_node(open);
};

TEST_F(stream_message_test, to_a_friend_it_reaches_all_terminals_on_line_and_the_sender_hears_nothing) {
  const uint64_t from = terminal_of(alice);
  ASSERT_TRUE(log_on(1, bob));
  ASSERT_TRUE(log_on(2, bob, 2));
  ASSERT_TRUE(log_on(3, alice, 2));
  forget_all();
  auto what = now_to(bob_node, "now");
  what.from_tid = tid_of(bob_node);
  what.mid = 77;
  what.is_offline = true;
  what.to_list = std::vector<wire::text>{"x"};
  frame(from, alice, frame_type::message, what);
  settle();
  for (const uint64_t conn : {1U, 2U}) {
    const auto got = frames(conn);
    ASSERT_EQ(got.size(), 1U) << conn;
    EXPECT_TRUE(got[0].live());
    EXPECT_FALSE(got[0].has_ref()) << "no acknowledgement wanted";
    EXPECT_EQ(got[0].type(), 90U);
    const auto shown = message_of(got[0]);
    EXPECT_EQ(shown.od_type, 5);
    EXPECT_EQ(shown.from_tid->node, alice_node);
    EXPECT_EQ(shown.from_tid->resource, "phone");
    EXPECT_EQ(shown.to_tid->node, bob_node);
    EXPECT_EQ(shown.data_string, "now");
    EXPECT_EQ(shown.timestamp, time.wall_ns());
    EXPECT_NE(shown.id.value_or(0), 0);
    EXPECT_FALSE(shown.mid);
    EXPECT_FALSE(shown.is_offline);
    EXPECT_FALSE(shown.to_list);
  }
  EXPECT_TRUE(frames(from).empty());
  EXPECT_TRUE(frames(3).empty());
  ASSERT_FALSE(gateway->items.empty());
  EXPECT_EQ(gateway->items.back().confirm().seq(), 1U) << "nothing but the confirmation comes back";
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(stream_message_test, an_id_given_is_kept) {
  terminal_of(bob);
  auto what = now_to(bob_node, "now");
  what.id = 4711;
  ask(alice, frame_type::message, what);
  const auto got = messages(bob);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].id, 4711);
}

TEST_F(stream_message_test, nobody_on_line_is_no_error_and_nothing_is_kept) {
  ask(alice, frame_type::message, now_to(bob_node, "lost"));
  EXPECT_FALSE(answer(alice));
  raw_frame(terminal_of(bob), bob, frame_type::offlinemsg, "");
  settle();
  EXPECT_TRUE(messages(bob).empty());
  EXPECT_TRUE(frames(terminal_of(bob), frame_type::offlinemsg).empty());
}

TEST_F(stream_message_test, strangers_unknown_accounts_and_blocks_are_told_apart) {
  terminal_of(outsider);
  terminal_of(bob);
  ask(alice, frame_type::message, now_to(outsider_node, "x"));
  EXPECT_EQ(code(alice), 4105);
  for (const account_id other : {nobody, tenant}) {
    ask(alice, frame_type::message, now_to(to_node(other), "x"));
    EXPECT_EQ(code(alice), 4106);
  }
  ask(alice, frame_type::message, now_to("0OIl", "x"));
  EXPECT_EQ(code(alice), 4106);
  ask(alice, frame_type::message, now_to(alice_node, "x"));
  EXPECT_EQ(code(alice), 4105);
  ask(alice, frame_type::message, now_to("", "x"));
  EXPECT_EQ(code(alice), 4104);
  auto elsewhere = now_to(bob_node, "x");
  elsewhere.to_tid->domain = other_domain;
  ask(alice, frame_type::message, elsewhere);
  EXPECT_EQ(code(alice), 4106);
  business(bob, 7, alice_node);
  forget_all();
  ask(alice, frame_type::message, now_to(bob_node, "x"));
  EXPECT_EQ(code(alice), 4110);
  ask(bob, frame_type::message, now_to(alice_node, "x"));
  EXPECT_EQ(code(bob), 4105) << "one blocks it oneself";
  for (const account_id who : {alice, bob, outsider}) EXPECT_TRUE(messages(who).empty());
}

TEST_F(stream_message_test, a_friendship_that_ends_counts_from_then_on) {
  terminal_of(bob);
  ask(alice, frame_type::message, now_to(bob_node, "1"));
  EXPECT_EQ(texts(bob), strings{"1"});
  business(bob, 6, alice_node);
  forget_all();
  ask(alice, frame_type::message, now_to(bob_node, "2"));
  EXPECT_EQ(code(alice), 4105);
  EXPECT_TRUE(messages(bob).empty());
}

TEST_F(stream_message_test, the_recipient_drops_what_its_own_roster_blocks) {
  const uint64_t conn = terminal_of(bob);
  business(bob, 7, alice_node);
  raw_frame(conn, bob, frame_type::broadpresence, "\x00");  // reads the roster
  frame(conn, bob, frame_type::broadpresence, wire::tim_presence{});
  settle();
  forget_all();
  v1::PeerItem item;  // of a session node that has not heard of the block
  item.set_type(90);
  item.set_sender(alice.value);
  item.set_payload(wire::encode(wire::encoding::thrift, now_to(bob_node, "x")));
  item.add_accounts(bob.value);
  item.set_live(true);
  std::vector<v1::PeerItem> items{item};
  deliver_here(env, items);
  settle();
  EXPECT_TRUE(messages(bob).empty());
  EXPECT_NE(registry.render().find("tern_session_live_dropped_total{reason=\"blocked\"} 1"), std::string::npos);
  item.set_sender(member.value);
  items = {item};
  deliver_here(env, items);
  settle();
  EXPECT_EQ(texts(bob), strings{"x"});
}

TEST_F(stream_message_test, accounts_of_another_domain_get_nothing) {
  terminal_of(tenant);
  v1::PeerItem item;
  item.set_type(90);
  item.set_sender(alice.value);
  item.add_accounts(tenant.value);
  item.set_live(true);
  std::vector<v1::PeerItem> items{item};
  deliver_here(env, items);
  settle();
  EXPECT_TRUE(messages(tenant).empty());
}

TEST_F(stream_message_test, with_open_messaging_anybody_of_the_domain_who_does_not_block_gets_it) {
  options.open_messaging = true;
  terminal_of(outsider);
  ask(alice, frame_type::message, now_to(outsider_node, "hello"));
  EXPECT_EQ(texts(outsider), strings{"hello"});
  for (const account_id other : {nobody, tenant}) {
    ask(alice, frame_type::message, now_to(to_node(other), "x"));
    EXPECT_EQ(code(alice), 4106);
  }
  business(outsider, 7, alice_node);
  forget_all();
  ask(alice, frame_type::message, now_to(outsider_node, "x"));
  EXPECT_EQ(code(alice), 4110);
  EXPECT_TRUE(messages(outsider).empty());
}

TEST_F(stream_message_test, storage_away_is_said_when_the_roster_is_needed) {
  terminal_of(alice);
  storage.fail_next(StorageRequest::kRosterList, errc::deadline);
  ask(alice, frame_type::message, now_to(bob_node, "x"));
  EXPECT_EQ(code(alice), 5103);
  terminal_of(bob);
  ask(alice, frame_type::message, now_to(bob_node, "again"));
  EXPECT_FALSE(answer(alice));
  EXPECT_EQ(texts(bob), strings{"again"});
}

TEST_F(stream_message_test, those_of_one_sender_keep_their_order_also_before_the_roster_is_read) {
  terminal_of(bob);
  const uint64_t conn = terminal_of(alice);
  strings sent;
  for (int i = 0; i < 20; ++i) sent.push_back(std::to_string(i));
  for (size_t i = 0; i < 10; ++i) frame(conn, alice, frame_type::message, now_to(bob_node, sent[i]));
  settle();
  for (size_t i = 10; i < 20; ++i) frame(conn, alice, frame_type::message, now_to(bob_node, sent[i]));
  settle();
  EXPECT_EQ(texts(bob), sent);
}

TEST_F(stream_message_test, to_a_room_it_reaches_every_member_but_the_senders_account) {
  for (const account_id who : {alice, manager, outsider}) terminal_of(who);
  const uint64_t conn = terminal_of(member);
  ASSERT_TRUE(log_on(1, member, 2));
  forget_all();
  auto what = now_in(open_node, "now");
  what.to_tid = tid_of(bob_node);  // means nothing in a room
  frame(conn, member, frame_type::message, what);
  settle();
  for (const account_id who : {alice, manager}) {
    const auto got = messages(who);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].data_string, "now");
    EXPECT_EQ(got[0].from_tid->node, member_node);
    EXPECT_EQ(got[0].room_tid->node, open_node);
    EXPECT_EQ(got[0].timestamp, time.wall_ns());
    EXPECT_NE(got[0].id.value_or(0), 0);
    EXPECT_FALSE(got[0].mid);
    EXPECT_FALSE(got[0].to_tid);
  }
  for (const account_id who : {member, outsider}) EXPECT_TRUE(messages(who).empty());
  EXPECT_TRUE(frames(1).empty());
  EXPECT_EQ(storage.head_of(open), 0U);
  bool confirmed = false;
  for (const auto& item : gateway->items) confirmed = confirmed || item.confirm().conn() == conn;
  EXPECT_TRUE(confirmed);
}

TEST_F(stream_message_test, to_a_room_only_members_may_send) {
  terminal_of(alice);
  const std::string others[] = {to_node(closed), to_node(nowhere), to_node(foreign_room), "0OIl", alice_node};
  for (const std::string& room : others) {
    ask(outsider, frame_type::message, now_in(room, "x"));
    EXPECT_EQ(code(outsider), 4105) << room;
  }
  ask(member, frame_type::message, now_in("", "x"));
  EXPECT_EQ(code(member), 4104);
  auto elsewhere = now_in(open_node, "x");
  elsewhere.room_tid->domain = other_domain;
  ask(member, frame_type::message, elsewhere);
  EXPECT_EQ(code(member), 4105);
  EXPECT_TRUE(messages(alice).empty());
  business(member, 16, open_node);  // leaves
  forget_all();
  ask(member, frame_type::message, now_in(open_node, "x"));
  EXPECT_EQ(code(member), 4105);
  EXPECT_TRUE(messages(alice).empty());
}

TEST_F(stream_message_test, who_has_been_told_that_it_left_may_send_no_more) {
  terminal_of(alice);
  const uint64_t conn = terminal_of(member);
  wire::tim_req leave;
  leave.rtype = 16;
  leave.node = open_node;
  frame(conn, member, frame_type::business, leave);
  // Storage answers, and the dispatcher has not come yet.
  for (int i = 0; i < 10; ++i) {
    run();
    storage.answer();
  }
  const auto left = answer(member);
  ASSERT_TRUE(left && left->ok);
  frame(conn, member, frame_type::message, now_in(open_node, "x"));
  run();
  EXPECT_EQ(code(member), 4105);
  settle();
  EXPECT_TRUE(messages(alice).empty());
}

TEST_F(stream_message_test, to_a_room_an_owner_that_refuses_is_answered) {
  terminal_of(member);
  room_owner.fail_next(errc::overload);
  ask(member, frame_type::message, now_in(open_node, "x"));
  EXPECT_EQ(code(member), 5104);
  room_owner.fail_next(errc::deadline);
  ask(member, frame_type::message, now_in(open_node, "x"));
  EXPECT_EQ(code(member), 5103);
}

TEST_F(stream_message_test, what_comes_before_the_rooms_are_read_waits_for_them_but_not_for_ever) {
  terminal_of(alice);
  storage.fail_next(StorageRequest::kAccountRooms, errc::deadline);
  bind(bind_of(2, member, true));  // the first look fails, the next one comes a second later
  forget_all();
  frame(2, member, frame_type::message, now_in(open_node, "late"));
  settle();
  EXPECT_TRUE(messages(alice).empty());
  pass(std::chrono::milliseconds(1200));
  EXPECT_EQ(texts(alice), strings{"late"});
}

TEST_F(stream_message_test, in_private_it_needs_a_room_of_both_and_no_friendship) {
  terminal_of(member);
  ask(alice, frame_type::message, privately(member_node, open_node, "psst"));
  const auto got = messages(member);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].data_string, "psst");
  EXPECT_EQ(got[0].room_tid->node, open_node);
  EXPECT_EQ(got[0].to_tid->node, member_node);
  ask(alice, frame_type::message, privately(outsider_node, open_node, "x"));
  EXPECT_EQ(code(alice), 4105);
  ask(outsider, frame_type::message, privately(member_node, open_node, "x"));
  EXPECT_EQ(code(outsider), 4105);
  ask(alice, frame_type::message, privately(member_node, to_node(nowhere), "x"));
  EXPECT_EQ(code(alice), 4105);
  business(member, 7, alice_node);
  forget_all();
  ask(alice, frame_type::message, privately(member_node, open_node, "x"));
  EXPECT_EQ(code(alice), 4110);
  EXPECT_TRUE(messages(member).empty());
}

TEST_F(stream_message_test, a_private_one_is_not_overtaken_by_what_follows) {
  storage.befriend(alice, member, talk(alice, member));
  terminal_of(member);
  const uint64_t conn = terminal_of(alice);
  frame(conn, alice, frame_type::message, now_to(member_node, "1"));
  settle();
  frame(conn, alice, frame_type::message, privately(member_node, open_node, "2"));
  frame(conn, alice, frame_type::message, now_to(member_node, "3"));
  frame(conn, alice, frame_type::message, privately(member_node, open_node, "4"));
  frame(conn, alice, frame_type::message, text_to(member_node, "5"));
  settle();
  EXPECT_EQ(texts(member), (strings{"1", "2", "3", "4", "5"}));
}

}  // namespace
}  // namespace tern::session

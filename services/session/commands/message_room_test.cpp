#include "services/session/testing/room_fixture.hpp"

namespace tern::session {
namespace {

using storage::v1::StorageRequest;
using wire::frame_type;

class message_room_test : public room_fixture {
 protected:
  static wire::tid tid_of(std::string_view node) {
    wire::tid out;
    out.node = node;
    return out;
  }
  static wire::tim_message text_in(const std::string& room, std::string_view text, int64_t id = 0) {
    wire::tim_message out;
    out.ms_type = 3;
    out.od_type = 1;
    out.room_tid = tid_of(room);
    out.data_string = text;
    if (id != 0) out.id = id;
    return out;
  }
  static wire::tim_message private_to(const std::string& node, const std::string& room, std::string_view text) {
    auto out = text_to(node, text);
    out.room_tid = tid_of(room);
    return out;
  }
  void pull(account_id who, const std::string& room, int64_t limit = 10) {
    auto req = req_of(2, room);
    req.req_int2 = limit;
    ask(who, frame_type::pullmessage, req);
  }
  std::vector<int64_t> pulled(account_id who) {
    std::vector<int64_t> out;
    for (const auto& page : frames(terminal_of(who), frame_type::pullmessage)) {
      for (const auto& row : list_of(page)) out.push_back(*row.mid);
    }
    return out;
  }
  const std::string open_node = to_node(open), closed_node = to_node(closed);
  const std::string manager_node = to_node(manager), member_node = to_node(member);
  const std::string outsider_node = to_node(outsider), alice_node = to_node(alice);
  const std::string strange_rooms[4] = {to_node(nowhere), to_node(foreign_room), "0OIl", to_node(alice)};
};

TEST_F(message_room_test, a_message_is_stored_once_and_its_sender_gets_it_with_its_mid) {
  auto what = text_in(open_node, "hello all", 77);
  what.to_tid = tid_of(manager_node);  // means nothing in a room
  what.from_tid = tid_of(manager_node);
  ask(member, frame_type::message, what);
  const auto got = messages(member);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].mid, 1);
  EXPECT_EQ(got[0].id, 77);
  EXPECT_EQ(got[0].ms_type, 3);
  EXPECT_EQ(got[0].from_tid->node, member_node);
  EXPECT_EQ(got[0].room_tid->node, open_node);
  EXPECT_FALSE(got[0].to_tid);
  EXPECT_TRUE(got[0].timestamp);
  EXPECT_EQ(storage.head_of(open), 1U);
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(message_room_test, a_retry_with_the_same_id_gets_the_first_mid) {
  ask(member, frame_type::message, text_in(open_node, "a", 5));
  ask(member, frame_type::message, text_in(open_node, "a", 5));
  const auto got = messages(member);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[0].mid, 1);
  EXPECT_EQ(got[1].mid, 1);
  EXPECT_EQ(storage.head_of(open), 1U);
}

TEST_F(message_room_test, pipelined_messages_keep_their_order) {
  const uint64_t conn = terminal_of(member);
  for (const char* word : {"1", "2", "3"}) frame(conn, member, frame_type::message, text_in(open_node, word));
  settle();
  const auto got = messages(member);
  ASSERT_EQ(got.size(), 3U);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].mid, static_cast<int64_t>(i + 1));
    EXPECT_EQ(got[i].data_string, std::to_string(i + 1));
  }
}

TEST_F(message_room_test, only_members_write_to_a_room) {
  const auto expect_error = [&](account_id who, const wire::tim_message& what, int32_t expected) {
    ask(who, frame_type::message, what);
    EXPECT_EQ(code(who), expected);
  };
  expect_error(outsider, text_in(open_node, "x"), 4105);
  expect_error(outsider, text_in(closed_node, "x"), 4105);
  expect_error(tenant, text_in(open_node, "x"), 4105);
  for (const auto& node : strange_rooms) expect_error(member, text_in(node, "x"), 4105);
  auto elsewhere = text_in(open_node, "x");
  elsewhere.room_tid->domain = other_domain;
  expect_error(member, elsewhere, 4105);
  expect_error(member, text_in("", "x"), 4104);
  auto nowhere_at_all = text_in(open_node, "x");
  nowhere_at_all.room_tid.reset();
  expect_error(member, nowhere_at_all, 4104);
  business(member, 16, open_node);
  forget_all();
  expect_error(member, text_in(open_node, "x"), 4105);
  EXPECT_EQ(storage.head_of(open), 0U);
}

TEST_F(message_room_test, a_cancelled_room_is_told_to_its_founder_only) {
  const room_id gone{7'000'000'000};
  storage.add_room(gone, alice);
  const std::string node = to_node(gone);
  business(alice, 17, node);
  forget_all();
  ask(alice, frame_type::message, text_in(node, "x"));
  EXPECT_EQ(code(alice), 4108);
  ask(member, frame_type::message, text_in(node, "x"));
  EXPECT_EQ(code(member), 4105);
}

TEST_F(message_room_test, kinds_that_are_not_offered_are_refused_in_rooms_as_well) {
  for (const int8_t later : {int8_t{2}, int8_t{3}, int8_t{6}, int8_t{7}}) {
    auto what = text_in(open_node, "x");
    what.od_type = later;
    ask(member, frame_type::message, what);
    EXPECT_EQ(code(member), 4107);
  }
  for (const int8_t reserved : {int8_t{-128}, int8_t{0}, int8_t{4}, int8_t{8}, int8_t{30}}) {
    auto what = text_in(open_node, "x");
    what.od_type = reserved;
    ask(member, frame_type::message, what);
    EXPECT_EQ(code(member), 4104);
  }
}

TEST_F(message_room_test, an_applications_own_kind_is_delivered_and_not_in_the_history) {
  for (const int8_t kind : {int8_t{31}, int8_t{127}}) {
    auto what = text_in(open_node, "typing");
    what.od_type = kind;
    ask(member, frame_type::message, what);
    const auto got = messages(member);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].od_type, kind);
  }
  pull(member, open_node);
  EXPECT_TRUE(pulled(member).empty());
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  const std::string bob_node = to_node(bob);
  auto what = text_to(bob_node, "typing");
  what.od_type = 40;
  frame(1, alice, frame_type::message, what);
  settle();
  EXPECT_EQ(frames(2, frame_type::message).size(), 1U);
  auto req = req_of(1, bob_node);
  req.req_int2 = 10;
  frame(1, alice, frame_type::pullmessage, req);
  settle();
  EXPECT_TRUE(frames(1, frame_type::pullmessage).empty());
}

TEST_F(message_room_test, members_pull_the_history_and_others_are_refused) {
  for (const char* word : {"1", "2", "3"}) ask(member, frame_type::message, text_in(open_node, word));
  pull(manager, open_node);
  EXPECT_EQ(pulled(manager), (std::vector<int64_t>{3, 2, 1}));
  pull(manager, open_node, 2);
  EXPECT_EQ(pulled(manager), (std::vector<int64_t>{3, 2}));
  pull(outsider, open_node);
  EXPECT_EQ(code(outsider), 4105);
  pull(tenant, open_node);
  EXPECT_EQ(code(tenant), 4105);
  for (const auto& node : strange_rooms) {
    pull(member, node);
    EXPECT_EQ(code(member), 4105) << node;
  }
  pull(member, "");
  EXPECT_EQ(code(member), 4104);
  pull(member, open_node, 0);
  EXPECT_EQ(code(member), 4104);
}

TEST_F(message_room_test, members_of_one_room_may_write_to_each_other_without_being_friends) {
  terminal_of(manager);
  ask(member, frame_type::message, private_to(manager_node, open_node, "psst"));
  ASSERT_EQ(messages(member).size(), 1U);
  const auto got = messages(manager);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].data_string, "psst");
  EXPECT_EQ(got[0].room_tid->node, open_node);
  EXPECT_EQ(storage.head_of(open), 0U);
  ask(member, frame_type::message, text_to(manager_node, "and without a room"));
  EXPECT_EQ(code(member), 4105);
}

TEST_F(message_room_test, a_private_message_needs_both_in_the_room_and_no_block) {
  const auto expect_error = [&](account_id who, const wire::tim_message& what, int32_t expected) {
    ask(who, frame_type::message, what);
    EXPECT_EQ(code(who), expected);
  };
  expect_error(member, private_to(outsider_node, open_node, "x"), 4105);
  expect_error(outsider, private_to(member_node, open_node, "x"), 4105);
  expect_error(member, private_to(member_node, open_node, "x"), 4105);
  for (const auto& node : strange_rooms) expect_error(member, private_to(manager_node, node, "x"), 4105);
  auto to_nobody = private_to(manager_node, open_node, "x");
  to_nobody.to_tid.reset();
  expect_error(member, to_nobody, 4104);
  expect_error(member, private_to("zzz", open_node, "x"), 4106);
  business(manager, 7, member_node);
  forget_all();
  expect_error(member, private_to(manager_node, open_node, "x"), 4110);
}

TEST_F(message_room_test, messages_to_the_same_account_wait_for_the_permit_of_one_before_them) {
  const std::string bob_node = to_node(bob);
  storage.add_member(open, bob);
  const uint64_t conn = terminal_of(alice);
  frame(conn, alice, frame_type::message, private_to(bob_node, open_node, "1"));
  frame(conn, alice, frame_type::message, text_to(bob_node, "2"));
  frame(conn, alice, frame_type::message, private_to(bob_node, open_node, "3"));
  frame(conn, alice, frame_type::message, text_to(bob_node, "4"));
  settle();
  const auto got = messages(alice);
  ASSERT_EQ(got.size(), 4U);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].data_string, std::to_string(i + 1));
    EXPECT_EQ(got[i].mid, static_cast<int64_t>(i + 1));
  }
}

TEST_F(message_room_test, a_refused_permit_lets_the_next_message_through) {
  const std::string bob_node = to_node(bob);
  const uint64_t conn = terminal_of(alice);
  frame(conn, alice, frame_type::message, private_to(bob_node, open_node, "1"));  // bob is no member
  frame(conn, alice, frame_type::message, text_to(bob_node, "2"));
  settle();
  EXPECT_EQ(code(alice), 4105);
  ASSERT_EQ(messages(alice).size(), 1U);
}

TEST_F(message_room_test, with_open_messaging_the_order_is_kept_as_well) {
  options.open_messaging = true;
  const uint64_t conn = terminal_of(member);
  frame(conn, member, frame_type::message, text_to(manager_node, "1"));
  frame(conn, member, frame_type::message, private_to(manager_node, open_node, "2"));
  frame(conn, member, frame_type::message, text_to(manager_node, "3"));
  frame(conn, member, frame_type::message, text_to(manager_node, "4"));
  settle();
  const auto got = messages(member);
  ASSERT_EQ(got.size(), 4U);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].data_string, std::to_string(i + 1));
}

TEST_F(message_room_test, failures_of_the_owner_are_told_in_the_clients_words) {
  room_owner.fail_next(errc::deadline);
  ask(member, frame_type::message, text_in(open_node, "x"));
  EXPECT_EQ(code(member), 5103);
  storage.fail_next(StorageRequest::kRoomPermit, errc::unavailable);
  ask(member, frame_type::message, private_to(manager_node, open_node, "x"));
  EXPECT_EQ(code(member), 5103);
  storage.fail_next(StorageRequest::kRead, errc::overload);
  pull(member, open_node);
  EXPECT_EQ(code(member), 5104);
}

}  // namespace
}  // namespace tern::session

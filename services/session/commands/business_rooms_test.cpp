#include "services/session/testing/room_fixture.hpp"

namespace tern::session {
namespace {

using storage::v1::ROOM_APPLIED;
using storage::v1::ROOM_BARRED;
using storage::v1::ROOM_MANAGER;
using storage::v1::ROOM_MEMBER;
using storage::v1::ROOM_REFUSES;

class business_rooms_test : public room_fixture {
 protected:
  const std::string open_node = to_node(open), closed_node = to_node(closed);
  const std::string manager_node = to_node(manager), member_node = to_node(member);
  const std::string outsider_node = to_node(outsider), alice_node = to_node(alice);
  const std::string nobody_node = to_node(nobody), tenant_node = to_node(tenant);
  const std::string strange_rooms[4] = {to_node(nowhere), to_node(foreign_room), "0OIl", to_node(alice)};
};

TEST_F(business_rooms_test, a_new_room_has_its_founder_as_only_member_and_is_listed_at_once) {
  business(outsider, 8, "book club", {}, {}, 2);
  const auto made = answer(outsider);
  ASSERT_TRUE(made && made->ok);
  EXPECT_EQ(made->tim_type, 41);
  EXPECT_EQ(made->t, 8);
  const std::string node(*made->n);
  ASSERT_TRUE(from_node(node_kind::room, node));
  business(outsider, 2);
  EXPECT_EQ(nodes(outsider, 2), std::vector<std::string>{node});
  business(outsider, 3, node);
  EXPECT_EQ(nodes(outsider, 3), std::vector<std::string>{outsider_node});
}

TEST_F(business_rooms_test, the_frame_that_made_a_room_finds_it_when_it_is_replayed) {
  const uint64_t conn = terminal_of(outsider);
  wire::tim_req req = req_of(8, "once");
  req.req_int = 1;
  frame(conn, outsider, wire::frame_type::business, req, 1);
  settle();
  const std::string first(*answer(outsider)->n);
  bind(bind_of(conn, outsider, false));
  frame(conn, outsider, wire::frame_type::business, req, 1);
  settle();
  EXPECT_EQ(*answer(outsider)->n, first);
}

TEST_F(business_rooms_test, a_change_that_is_refused_when_it_comes_again_may_have_been_done) {
  const uint64_t conn = terminal_of(outsider);
  const std::string leave = wire::encode(wire::encoding::thrift, req_of(16, to_node(nowhere)));
  raw_frame(conn, outsider, wire::frame_type::business, leave, 1);
  settle();
  EXPECT_EQ(answer(outsider)->error->code, 4109);
  bind(bind_of(conn, outsider, false));
  raw_frame(conn, outsider, wire::frame_type::business, leave, 1, true);
  settle();
  EXPECT_EQ(answer(outsider)->error->code, 5103);
}

TEST_F(business_rooms_test, a_room_id_that_is_in_use_is_tried_with_another) {
  room_owner.fail_next(errc::exists);
  business(outsider, 8, "second try", {}, {}, 1);
  EXPECT_TRUE(answer(outsider)->ok);
  for (int i = 0; i < 4; ++i) room_owner.fail_next(errc::exists);
  business(outsider, 8, "no luck", {}, {}, 1);
  EXPECT_EQ(code(outsider), 5101);
}

TEST_F(business_rooms_test, names_and_kinds_of_rooms_are_checked) {
  const std::string long_name(65, 'x'), longest(64, 'x'), control("a\x01", 2), broken("\xff");
  for (const auto& name : {std::string{}, long_name, control}) {
    business(alice, 8, name, {}, {}, 1);
    const auto got = answer(alice);
    ASSERT_TRUE(got && got->error) << name;
    EXPECT_EQ(got->error->code, 4104) << name;
    EXPECT_EQ(got->t, 8);
  }
  business(alice, 8, broken, {}, {}, 1);
  EXPECT_EQ(code(alice), 4113);  // no text at all
  for (const int64_t kind : {int64_t{0}, int64_t{3}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    business(alice, 8, "name", {}, {}, kind);
    EXPECT_EQ(code(alice), 4104) << kind;
  }
  business(alice, 8, longest, {}, {}, 2);
  EXPECT_TRUE(answer(alice)->ok);
}

TEST_F(business_rooms_test, own_and_refused_rooms_are_listed_and_nothing_is_sent_when_there_are_none) {
  business(alice, 2);
  EXPECT_EQ(nodes(alice, 2), (std::vector<std::string>{open_node, closed_node}));
  business(outsider, 2);
  business(outsider, 19);
  EXPECT_TRUE(nodes(outsider, 2).empty());
  EXPECT_FALSE(answer(outsider));
  business(outsider, 14, open_node);
  EXPECT_EQ(answer(outsider)->t, 14);
  business(outsider, 19);
  EXPECT_EQ(nodes(outsider, 9), std::vector<std::string>{open_node});
}

TEST_F(business_rooms_test, members_see_the_members_and_managers_who_is_barred) {
  business(member, 3, open_node);
  EXPECT_EQ(nodes(member, 3), (std::vector<std::string>{alice_node, manager_node, member_node}));
  business(manager, 20, open_node);
  EXPECT_TRUE(nodes(manager, 10).empty());
  business(manager, 15, open_node, outsider_node);
  EXPECT_TRUE(answer(manager)->ok);
  business(manager, 20, open_node);
  EXPECT_EQ(nodes(manager, 10), std::vector<std::string>{outsider_node});
  business(outsider, 3, open_node);
  EXPECT_EQ(code(outsider), 4104);
  for (const account_id who : {member, outsider}) {
    business(who, 20, open_node);
    EXPECT_EQ(code(who), 4105);
  }
  for (const auto& node : strange_rooms) {
    for (const int32_t list : {3, 20}) {
      business(member, list, node);
      EXPECT_EQ(code(member), 4106) << list << " " << node;
    }
  }
  business(member, 3);
  EXPECT_EQ(code(member), 4104);
  options.room_list_members = 2;
  business(member, 3, open_node);
  EXPECT_EQ(nodes(member, 3).size(), 2U);
}

TEST_F(business_rooms_test, an_open_room_is_joined_at_once_and_the_notice_says_so) {
  business(outsider, 9, open_node);
  EXPECT_FALSE(answer(outsider));
  const auto got = messages(outsider);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_EQ(got[0].ms_type, 1);
  EXPECT_EQ(got[0].od_type, 4);
  EXPECT_EQ(got[0].bn_type, 10);
  EXPECT_EQ(got[0].room_tid->node, open_node);
  EXPECT_EQ(got[0].to_tid->node, outsider_node);
  business(outsider, 2);
  EXPECT_EQ(nodes(outsider, 2), std::vector<std::string>{open_node});
}

TEST_F(business_rooms_test, an_application_reaches_founder_and_managers_and_is_granted_or_refused) {
  for (const account_id who : {alice, manager, member}) terminal_of(who);
  business(outsider, 9, closed_node, {}, "let me in");
  EXPECT_FALSE(answer(outsider));
  EXPECT_TRUE(messages(outsider).empty());
  EXPECT_TRUE(messages(member).empty());
  for (const account_id who : {alice, manager}) {
    const auto got = messages(who);
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].bn_type, 9);
    EXPECT_EQ(got[0].data_string, "let me in");
    EXPECT_EQ(got[0].from_tid->node, outsider_node);
    EXPECT_EQ(got[0].room_tid->node, closed_node);
  }
  business(manager, 11, closed_node, outsider_node, "not today");
  EXPECT_EQ(answer(manager)->t, 11);
  auto told = messages(outsider);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].bn_type, 11);
  EXPECT_EQ(told[0].data_string, "not today");
  business(outsider, 9, closed_node);
  business(manager, 12, closed_node, outsider_node);
  const auto pulled = answer(manager);
  ASSERT_TRUE(pulled && pulled->ok);
  EXPECT_EQ(pulled->t, 12);
  EXPECT_EQ(pulled->n, closed_node);
  EXPECT_EQ(pulled->n2, outsider_node);
  told = messages(outsider);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].bn_type, 10);
  EXPECT_EQ(told[0].from_tid->node, manager_node);
}

TEST_F(business_rooms_test, who_is_pulled_in_kicked_or_barred_is_told) {
  terminal_of(outsider);
  business(member, 12, open_node, outsider_node);
  EXPECT_EQ(answer(member)->t, 12);
  EXPECT_EQ(messages(outsider)[0].bn_type, 12);
  business(manager, 13, open_node, outsider_node);
  const auto kicked = answer(manager);
  ASSERT_TRUE(kicked && kicked->ok);
  EXPECT_EQ(kicked->t, 13);
  EXPECT_EQ(messages(outsider)[0].bn_type, 13);
  EXPECT_EQ(storage.bits_in(open, outsider), 0U);
  business(outsider, 9, open_node);
  forget_all();
  business(manager, 15, open_node, outsider_node);
  const auto barred = answer(manager);
  ASSERT_TRUE(barred && barred->ok);
  EXPECT_EQ(barred->t, 15);
  EXPECT_EQ(barred->n, open_node);
  EXPECT_EQ(barred->n2, outsider_node);
  business(outsider, 9, open_node);
  EXPECT_EQ(code(outsider), 4110);
}

TEST_F(business_rooms_test, leaving_blocking_and_cancelling_are_answered_and_seen_in_the_lists) {
  business(member, 16, open_node);
  const auto left = answer(member);
  ASSERT_TRUE(left && left->ok);
  EXPECT_EQ(left->t, 16);
  business(member, 2);
  EXPECT_EQ(nodes(member, 2), std::vector<std::string>{closed_node});
  for (int again = 0; again < 2; ++again) {
    business(manager, 14, open_node);
    EXPECT_TRUE(answer(manager)->ok) << again;
  }
  business(manager, 2);
  EXPECT_EQ(nodes(manager, 2), std::vector<std::string>{closed_node});
  business(manager, 19);
  EXPECT_EQ(nodes(manager, 9), std::vector<std::string>{open_node});
  business(alice, 12, open_node, manager_node);
  EXPECT_EQ(code(alice), 4110);
  business(alice, 17, open_node);
  const auto cancelled = answer(alice);
  ASSERT_TRUE(cancelled && cancelled->ok);
  EXPECT_EQ(cancelled->t, 17);
  business(alice, 2);
  EXPECT_EQ(nodes(alice, 2), std::vector<std::string>{closed_node});
  business(alice, 17, open_node);
  EXPECT_EQ(code(alice), 4108);
  business(outsider, 9, open_node);
  EXPECT_EQ(code(outsider), 4108);
}

TEST_F(business_rooms_test, errors_are_those_of_the_table) {
  storage.add_member(closed, bob, ROOM_APPLIED);
  storage.add_member(open, bob, ROOM_BARRED);
  const std::string bob_node = to_node(bob);
  struct row {
    account_id who;
    int32_t rtype;
    std::string node;
    std::string node2;
    int32_t expected;
  };
  const row rows[] = {
      {member, 9, open_node, "", 4101},
      {bob, 9, closed_node, "", 4117},
      {bob, 9, open_node, "", 4110},
      {outsider, 9, "", "", 4104},
      {member, 12, closed_node, outsider_node, 4105},
      {outsider, 12, open_node, bob_node, 4105},
      {manager, 12, open_node, member_node, 4101},
      {member, 12, open_node, bob_node, 4110},
      {manager, 12, open_node, nobody_node, 4106},
      {manager, 12, open_node, tenant_node, 4106},
      {manager, 12, open_node, "zzz", 4106},
      {manager, 12, open_node, open_node, 4106},
      {manager, 12, open_node, "", 4104},
      {manager, 12, open_node, manager_node, 4101},
      {member, 11, closed_node, bob_node, 4105},
      {outsider, 11, closed_node, bob_node, 4105},
      {manager, 11, closed_node, outsider_node, 4103},
      {manager, 11, closed_node, "zzz", 4103},
      {manager, 11, closed_node, "", 4104},
      {member, 13, open_node, manager_node, 4105},
      {outsider, 13, open_node, member_node, 4105},
      {manager, 13, open_node, manager_node, 4105},
      {manager, 13, open_node, alice_node, 4105},
      {alice, 13, open_node, alice_node, 4105},
      {manager, 13, open_node, outsider_node, 4104},
      {manager, 13, open_node, "zzz", 4104},
      {alice, 14, open_node, "", 4105},
      {member, 15, open_node, outsider_node, 4105},
      {manager, 15, open_node, alice_node, 4105},
      {manager, 15, open_node, manager_node, 4105},
      {manager, 15, open_node, nobody_node, 4106},
      {manager, 15, open_node, tenant_node, 4106},
      {alice, 16, open_node, "", 4105},
      {outsider, 16, open_node, "", 4105},
      {member, 17, open_node, "", 4105},
      {alice, 17, open_node, "", 4105},
  };
  for (const row& one : rows) {
    business(one.who, one.rtype, one.node, one.node2);
    const auto got = answer(one.who);
    ASSERT_TRUE(got && got->error) << one.rtype << " " << one.expected;
    EXPECT_EQ(got->error->code, one.expected) << one.rtype << " " << one.node2;
    EXPECT_EQ(got->tim_type, 41);
    EXPECT_EQ(got->t, one.rtype);
  }
}

TEST_F(business_rooms_test, a_room_that_is_not_there_is_told_as_such_whoever_asks) {
  for (const int32_t rtype : {9, 11, 12, 13, 14, 15, 16, 17}) {
    for (const auto& node : strange_rooms) {
      business(alice, rtype, node, outsider_node);
      EXPECT_EQ(code(alice), 4109) << rtype << " " << node;
    }
  }
}

TEST_F(business_rooms_test, a_room_of_another_domain_is_not_there_whoever_is_to_be_pulled_in) {
  for (const int32_t rtype : {12, 15}) {
    for (const auto& target : {outsider_node, nobody_node}) {
      business(tenant, rtype, open_node, target);
      EXPECT_EQ(code(tenant), 4109) << rtype;
    }
  }
}

TEST_F(business_rooms_test, a_cancelled_room_takes_nobody) {
  storage.add_room(room_id{7'000'000'000}, alice);
  const std::string node = to_node(room_id{7'000'000'000});
  business(alice, 17, node);
  EXPECT_TRUE(answer(alice)->ok);
  const int32_t rtypes[] = {9, 11, 12, 13, 15, 17};
  for (const int32_t rtype : rtypes) {
    business(alice, rtype, node, outsider_node);
    EXPECT_EQ(code(alice), 4108) << rtype;
  }
}

TEST_F(business_rooms_test, a_managers_pull_lifts_the_bar) {
  storage.add_member(open, bob, ROOM_BARRED);
  business(manager, 12, open_node, to_node(bob));
  EXPECT_TRUE(answer(manager)->ok);
  EXPECT_EQ(storage.bits_in(open, bob), uint32_t{ROOM_MEMBER});
}

TEST_F(business_rooms_test, failures_of_the_owner_are_told_in_the_clients_words) {
  for (const auto& [code_of_owner, seen] : {std::pair{errc::deadline, 5103}, std::pair{errc::overload, 5104}}) {
    room_owner.fail_next(code_of_owner);
    business(member, 16, open_node);
    EXPECT_EQ(code(member), seen);
  }
  terminal_of(alice);
  storage.fail_next(storage::v1::StorageRequest::kAccountRooms, errc::unavailable);
  business(alice, 2);
  EXPECT_EQ(code(alice), 5103);
}

TEST_F(business_rooms_test, texts_over_four_kibibytes_are_refused) {
  business(outsider, 9, open_node, {}, std::string(4097, 'x'));
  EXPECT_EQ(code(outsider), 4104);
  business(outsider, 9, open_node, {}, std::string(4096, 'x'));
  EXPECT_FALSE(answer(outsider));
  EXPECT_EQ(messages(outsider).size(), 1U);
}

}  // namespace
}  // namespace tern::session

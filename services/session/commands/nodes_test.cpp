#include "services/session/testing/room_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

class nodes_test : public room_fixture {
 protected:
  wire::tim_nodes list_of_nodes(int32_t ntype, const std::vector<std::string>& nodes) {
    wire::tim_nodes out;
    out.ntype = ntype;
    out.nodelist.emplace(nodes.begin(), nodes.end());
    return out;
  }
  std::optional<wire::tim_nodes> profiles(account_id who) {
    auto got = frames(terminal_of(who), frame_type::nodes);
    if (got.empty()) return std::nullopt;
    kept.push_back(std::move(got[0]));
    auto decoded = wire::decode<wire::tim_nodes>(wire::encoding::thrift, kept.back().payload(), memory);
    EXPECT_TRUE(decoded);
    return *decoded;
  }
  void set_own(account_id who, const wire::tim_user_bean& bean, std::string_view key = "me") {
    wire::tim_nodes req;
    req.ntype = 6;
    req.usermap.emplace();
    req.usermap->emplace_back(key, bean);
    ask(who, frame_type::nodes, req);
  }
  void set_room(account_id who, const std::string& room, const wire::tim_room_bean& bean) {
    wire::tim_nodes req;
    req.ntype = 7;
    req.roommap.emplace();
    req.roommap->emplace_back(room, bean);
    ask(who, frame_type::nodes, req);
  }
  const std::string alice_node = to_node(alice), bob_node = to_node(bob), tenant_node = to_node(tenant);
  const std::string open_node = to_node(open), closed_node = to_node(closed);
  const std::string strange_rooms[4] = {to_node(nowhere), to_node(foreign_room), "0OIl", to_node(alice)};
};

TEST_F(nodes_test, ones_own_profile_is_set_and_seen_by_everybody_of_the_domain) {
  wire::tim_user_bean bean;
  bean.nick_name = "Bobby";
  bean.area = "Kiel";
  bean.createtime = 1;  // the server's
  set_own(bob, bean);
  const auto done = answer(bob);
  ASSERT_TRUE(done && done->ok);
  EXPECT_EQ(done->tim_type, 42);
  EXPECT_EQ(done->t, 6);
  ask(outsider, frame_type::nodes, list_of_nodes(4, {bob_node, alice_node, bob_node}));
  const auto got = profiles(outsider);
  ASSERT_TRUE(got && got->usermap);
  EXPECT_EQ(got->ntype, 4);
  ASSERT_EQ(got->usermap->size(), 2U);
  for (const auto& [node, seen] : *got->usermap) {
    if (node != bob_node) continue;
    EXPECT_EQ(seen.nick_name, "Bobby");
    EXPECT_EQ(seen.area, "Kiel");
    EXPECT_FALSE(seen.createtime);  // what this storage does not fill in
  }
}

TEST_F(nodes_test, unknown_foreign_and_unreadable_accounts_are_left_out_and_an_answer_always_comes) {
  ask(alice, frame_type::nodes,
      list_of_nodes(4, {bob_node, tenant_node, to_node(nobody), "zzz", "", open_node, to_node(account_id{0})}));
  auto got = profiles(alice);
  ASSERT_TRUE(got && got->usermap);
  ASSERT_EQ(got->usermap->size(), 1U);
  EXPECT_EQ(got->usermap->front().first, bob_node);
  ask(alice, frame_type::nodes, list_of_nodes(4, {tenant_node}));
  got = profiles(alice);
  ASSERT_TRUE(got && got->usermap);
  EXPECT_TRUE(got->usermap->empty());
  wire::tim_nodes bare;
  for (const int32_t ntype : {4, 5}) {
    bare.ntype = ntype;
    ask(alice, frame_type::nodes, bare);
    got = profiles(alice);
    ASSERT_TRUE(got);
    EXPECT_EQ(got->ntype, ntype);
  }
}

TEST_F(nodes_test, profiles_are_gathered_over_shards_and_come_complete_or_not_at_all) {
  auto map = std::make_shared<placement::snapshot>(*cluster.get());
  map->version = ++map_version;
  const slot_type half = slot_count / 4;
  map->storage = placement::range_map{{{0, half - 1, "a", 1}, {half, slot_count - 1, "b", 1}}};
  cluster.publish(map);
  std::vector<std::string> wanted{alice_node, bob_node, to_node(member)};
  ask(alice, frame_type::nodes, list_of_nodes(4, wanted));
  auto got = profiles(alice);
  ASSERT_TRUE(got && got->usermap);
  EXPECT_EQ(got->usermap->size(), 3U);
  storage.fail_next(storage::v1::StorageRequest::kProfileGet, errc::deadline);
  ask(alice, frame_type::nodes, list_of_nodes(4, wanted));
  EXPECT_FALSE(profiles(alice));
  EXPECT_EQ(code(alice), 5103);
}

TEST_F(nodes_test, many_profiles_come_in_one_answer_and_more_than_500_are_refused) {
  std::vector<std::string> wanted;
  for (uint64_t i = 0; i < 500; ++i) {
    const account_id one{0x7700'0000'0000'0000 + i};
    storage.add_account(one);
    wanted.push_back(to_node(one));
  }
  ask(alice, frame_type::nodes, list_of_nodes(4, wanted));
  const auto conn_frames = frames(terminal_of(alice), frame_type::nodes);
  ASSERT_EQ(conn_frames.size(), 1U);
  wire::arena own;
  const auto all =
      wire::decode<wire::tim_nodes>(wire::encoding::thrift, conn_frames[0].payload(), own, wire::trusted_limits);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->usermap->size(), 500U);
  wanted.push_back(bob_node);
  for (const int32_t ntype : {4, 5}) {
    ask(alice, frame_type::nodes, list_of_nodes(ntype, wanted));
    EXPECT_EQ(code(alice), 4104);
  }
}

TEST_F(nodes_test, answers_that_would_choke_the_connection_are_refused) {
  const std::string large(4000, 'x');
  wire::tim_user_bean bean;
  bean.nick_name = bean.cover = bean.area = bean.name = large;
  const std::string stored = wire::encode(wire::encoding::thrift, bean);
  std::vector<std::string> wanted;
  for (uint64_t i = 0; i < 40; ++i) {
    const account_id one{0x7700'0000'0000'0000 + i};
    storage.add_account(one);
    storage.profiles[one.value] = stored;
    wanted.push_back(to_node(one));
  }
  ask(alice, frame_type::nodes, list_of_nodes(4, wanted));
  EXPECT_EQ(code(alice), 4104);
  wanted.resize(30);
  ask(alice, frame_type::nodes, list_of_nodes(4, wanted));
  EXPECT_TRUE(profiles(alice));
}

TEST_F(nodes_test, rooms_are_described_to_everybody_of_the_domain) {
  std::vector<std::string> wanted{open_node, closed_node};
  for (const auto& one : strange_rooms) wanted.push_back(one);
  ask(outsider, frame_type::nodes, list_of_nodes(5, wanted));
  auto got = profiles(outsider);
  ASSERT_TRUE(got && got->roommap);
  EXPECT_EQ(got->ntype, 5);
  EXPECT_EQ(got->roommap->size(), 2U);
  const room_id gone{7'000'000'000};
  storage.add_room(gone, alice);
  business(alice, 17, to_node(gone));
  ask(outsider, frame_type::nodes, list_of_nodes(5, {to_node(gone)}));
  got = profiles(outsider);
  ASSERT_TRUE(got && got->roommap);
  EXPECT_TRUE(got->roommap->empty());
  ask(tenant, frame_type::nodes, list_of_nodes(5, {open_node}));
  got = profiles(tenant);
  ASSERT_TRUE(got && got->roommap);
  EXPECT_TRUE(got->roommap->empty());
  storage.fail_next(storage::v1::StorageRequest::kRoomGet, errc::unavailable);
  ask(outsider, frame_type::nodes, list_of_nodes(5, {open_node, closed_node}));
  EXPECT_EQ(code(outsider), 5103);
}

TEST_F(nodes_test, managers_change_a_rooms_profile) {
  wire::tim_room_bean bean;
  bean.topic = "new topic";
  bean.founder = bob_node;  // these are not for clients to say
  bean.gtype = 2;
  bean.createtime = 5;
  set_room(manager, open_node, bean);
  const auto done = answer(manager);
  ASSERT_TRUE(done && done->ok);
  EXPECT_EQ(done->tim_type, 42);
  EXPECT_EQ(done->t, 7);
  ask(member, frame_type::nodes, list_of_nodes(5, {open_node}));
  const auto got = profiles(member);
  ASSERT_TRUE(got && got->roommap && got->roommap->size() == 1U);
  const auto& seen = got->roommap->front().second;
  EXPECT_EQ(seen.topic, "new topic");
  EXPECT_FALSE(seen.founder);
  EXPECT_FALSE(seen.gtype);
  EXPECT_FALSE(seen.createtime);
}

TEST_F(nodes_test, who_may_not_change_a_room_is_told) {
  wire::tim_room_bean bean;
  bean.topic = "mine";
  for (const account_id who : {member, outsider}) {
    set_room(who, open_node, bean);
    const auto got = answer(who);
    ASSERT_TRUE(got && got->error);
    EXPECT_EQ(got->error->code, 4105);
    EXPECT_EQ(got->t, 7);
  }
  for (const auto& node : strange_rooms) {
    set_room(alice, node, bean);
    EXPECT_EQ(code(alice), 4109) << node;
  }
  set_room(tenant, open_node, bean);
  EXPECT_EQ(code(tenant), 4109);
}

TEST_F(nodes_test, a_change_has_one_entry_of_at_most_16_kibibytes) {
  wire::tim_nodes req;
  for (const int32_t ntype : {6, 7}) {
    req.ntype = ntype;
    req.usermap.reset();
    req.roommap.reset();
    ask(alice, frame_type::nodes, req);
    EXPECT_EQ(code(alice), 4104);
    req.usermap.emplace();
    req.roommap.emplace();
    ask(alice, frame_type::nodes, req);
    EXPECT_EQ(code(alice), 4104);
    for (const char* key : {"a", "b"}) {
      req.usermap->emplace_back(key, wire::tim_user_bean{});
      req.roommap->emplace_back(key, wire::tim_room_bean{});
    }
    ask(alice, frame_type::nodes, req);
    EXPECT_EQ(code(alice), 4104);
  }
  const std::string large(17 << 10, 'x');
  wire::tim_user_bean user;
  user.extra.emplace();
  user.extra->emplace_back("blob", large);
  set_own(alice, user);
  EXPECT_EQ(code(alice), 4104);
  wire::tim_room_bean room;
  room.extra = user.extra;
  set_room(alice, open_node, room);
  EXPECT_EQ(code(alice), 4104);
  wire::tim_user_bean long_text;
  const std::string text(4097, 'x');
  long_text.nick_name = text;
  set_own(alice, long_text);
  EXPECT_EQ(code(alice), 4104);
}

TEST_F(nodes_test, other_kinds_are_not_offered) {
  wire::tim_nodes req;
  for (const int32_t ntype : {-1, 0, 1, 2, 3, 8, 9, 10, 11, INT32_MAX, INT32_MIN}) {
    req.ntype = ntype;
    ask(alice, frame_type::nodes, req);
    EXPECT_EQ(code(alice), 4107) << ntype;
  }
  raw_frame(terminal_of(alice), alice, frame_type::nodes, "\x01");
  settle();
  EXPECT_EQ(code(alice), 4113);
}

}  // namespace
}  // namespace tern::session

// One suite over all three implementations; PostgreSQL is a real server, started once.
#include "services/routing/meta_store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "libs/placement/planner.hpp"
#include "libs/testing/servers.hpp"
#include "libs/testing/temp_dir.hpp"

namespace tern::routing {
namespace {

using placement::candidate;

testing::postgres_server& server() {
  static const auto one = [] {
    auto started = testing::postgres_server::start();
    if (!started) throw std::runtime_error(started.error().detail);
    return *std::move(started);
  }();
  return *one;
}

class meta_stores : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    dsn = GetParam();
    if (dsn == "sqlite") dsn = "sqlite:" + directory.file("meta.db");
    if (dsn == "pg") {
      static int count = 0;
      const auto name = "meta_" + std::to_string(++count);
      ASSERT_TRUE(server().create_database(name));
      dsn = server().dsn(name);
    }
    store = make_meta_store(dsn);
    const auto opened = store->open();
    ASSERT_TRUE(opened) << opened.error().detail;
    ASSERT_TRUE(store->take_over({}, self));
  }
  /// A state with everything in it.
  static meta_state state(uint64_t version, size_t session_nodes) {
    meta_state made;
    made.version = version;
    std::vector<candidate> nodes;
    for (size_t i = 0; i < session_nodes; ++i) nodes.push_back({"session-" + std::to_string(100 + i), {}, false});
    made.sessions = placement::spread({}, nodes, version);
    made.groups = placement::spread({}, {{"group-0", {}, false}}, version);
    made.storage = placement::first_storage_map({"a", "b"}, version);
    made.shards = {{"a", "storage-0", version}, {"b", "", 0}};
    for (const auto& each : nodes) made.nodes.push_back({each.name, "session", "10.0.0.1:1", ~0ULL - version, true});
    return made;
  }
  static void expect_same(const result<meta_state>& got, const meta_state& wanted) {
    ASSERT_TRUE(got) << got.error().detail;
    EXPECT_EQ(got->version, wanted.version);
    EXPECT_EQ(got->sessions, wanted.sessions);
    EXPECT_EQ(got->groups, wanted.groups);
    EXPECT_EQ(got->storage, wanted.storage);
    EXPECT_EQ(got->shards, wanted.shards);
    EXPECT_EQ(got->nodes, wanted.nodes);
  }

  const leader_row self{0, "routing-0", ~0ULL - 4, "10.0.0.9:1", 0};
  testing::temp_dir directory;
  std::string dsn;
  std::unique_ptr<meta_store> store;
};

TEST_P(meta_stores, a_new_one_is_empty) { expect_same(store->load(), {}); }

TEST_P(meta_stores, gives_back_what_was_committed) {
  const auto first = state(1, 5);
  ASSERT_TRUE(store->commit({}, first, 1));
  expect_same(store->load(), first);
  const auto second = state(2, 300);
  ASSERT_TRUE(store->commit(first, second, 1));
  expect_same(store->load(), second);
  auto third = second;
  third.version = 3;
  third.shards[1] = {"b", "storage-9", 3};
  third.nodes.erase(third.nodes.begin());
  third.nodes[0].alive = false;
  ASSERT_TRUE(store->commit(second, third, 1));
  expect_same(store->load(), third);
}

TEST_P(meta_stores, refuses_who_does_not_know_the_newest_version_and_writes_nothing) {
  const auto first = state(1, 2);
  ASSERT_TRUE(store->commit({}, first, 1));
  EXPECT_EQ(store->commit({}, state(1, 3), 1).code(), errc::stale_epoch);
  EXPECT_EQ(store->commit(state(2, 2), state(3, 3), 1).code(), errc::stale_epoch);
  expect_same(store->load(), first);
}

TEST_P(meta_stores, keeps_its_content_when_opened_again) {
  if (dsn == "memory:") return;  // it has nothing to keep
  const auto first = state(1, 4);
  ASSERT_TRUE(store->commit({}, first, 1));
  const auto again = make_meta_store(dsn);
  expect_same(again->load(), first);
  EXPECT_EQ(again->commit({}, first, 1).code(), errc::stale_epoch);
}

TEST_P(meta_stores, keep_what_operators_want_for_who_leads) {
  const auto none = store->load_intents();
  ASSERT_TRUE(none) << none.error().detail;
  EXPECT_EQ(*none, intents{});
  intents what;
  what.drains = {"gateway-0", "session-3"};
  add_pin(what, {range_kind::sessions, 0, 6399, "session-1"});
  add_pin(what, {range_kind::groups, 0, 63, "group-1"});
  what.shards["a"] = {"", 7, true};
  what.shards["pg-2"] = {"host=db dbname=two", 0, false};
  what.shard_moves.push_back(
      {3, 0, 9, "a", "pg-2", 2, 1 << 20, shard_move::wish::finish, 1'700'000'000, "it differs"});
  what.shard_moves.push_back({4, 10, 19, "a", "pg-2", 0, 0, shard_move::wish::go, 0, ""});
  what.last_shard_move = 9;
  const auto stored = store->store_intents(what, 1);
  ASSERT_TRUE(stored) << stored.error().detail;
  const auto got = store->load_intents();
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, what);
  EXPECT_EQ(store->store_intents({}, 2).code(), errc::stale_epoch);
  EXPECT_EQ(*store->load_intents(), what);
  ASSERT_TRUE(store->store_intents({}, 1));
  EXPECT_EQ(*store->load_intents(), intents{});
}

TEST_P(meta_stores, an_empty_one_takes_over_what_another_says_of_storage) {
  const auto old = make_meta_store("sqlite:" + directory.file("old.db"));
  EXPECT_EQ(import_storage(*old, *store).code(), errc::config) << "nothing is there yet";
  ASSERT_TRUE(old->open());
  ASSERT_TRUE(old->take_over({}, self));
  auto first = state(1, 3);
  for (uint64_t version = 1; version < 8; ++version) {
    auto next = state(version, 3);
    ASSERT_TRUE(old->commit(version == 1 ? meta_state{} : first, next, 1));
    first = next;
  }
  intents what;
  what.drains = {"session-0"};
  what.shards["b"] = {"host=db", 3, false};
  what.last_shard_move = 4;
  ASSERT_TRUE(old->store_intents(what, 1));

  const auto done = import_storage(*old, *store);
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_TRUE(*done);
  const auto got = store->load();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->version, 7U) << "epochs go on";
  EXPECT_EQ(got->storage, first.storage);
  EXPECT_EQ(got->shards, (std::vector<placement::shard>{{"a", "", 7}, {"b", "", 0}}));
  EXPECT_TRUE(got->nodes.empty() && got->sessions.ranges().empty());
  const auto wanted = store->load_intents();
  ASSERT_TRUE(wanted);
  EXPECT_TRUE(wanted->drains.empty());
  EXPECT_EQ(wanted->shards, what.shards);
  EXPECT_EQ(wanted->last_shard_move, 4U);
  const auto again = import_storage(*old, *store);
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again) << "it is not empty any more";
}

TEST_P(meta_stores, give_the_leader_row_to_who_saw_it_last) {
  const auto first = store->leader();
  ASSERT_TRUE(first) << first.error().detail;
  EXPECT_EQ(first->term, 1U);
  EXPECT_EQ(first->node, "routing-0");
  EXPECT_EQ(first->incarnation, self.incarnation);
  EXPECT_EQ(first->address, self.address);
  const leader_row other{0, "routing-1", 5, "10.0.0.8:1", 0};
  ASSERT_TRUE(store->renew(1));
  EXPECT_EQ(store->take_over(*first, other).code(), errc::stale_epoch) << "it has beaten meanwhile";
  const auto second = store->leader();
  ASSERT_TRUE(second);
  EXPECT_GT(second->beat, first->beat);
  ASSERT_TRUE(store->take_over(*second, other));
  EXPECT_EQ(store->take_over(*second, self).code(), errc::stale_epoch);
  const auto third = store->leader();
  ASSERT_TRUE(third);
  EXPECT_EQ(third->term, 2U);
  EXPECT_EQ(third->node, "routing-1");
  EXPECT_EQ(store->renew(1).code(), errc::stale_epoch);
  EXPECT_TRUE(store->renew(2));
}

TEST_P(meta_stores, commit_nothing_of_a_leader_that_was_replaced) {
  const auto first = state(1, 2);
  ASSERT_TRUE(store->commit({}, first, 1));
  ASSERT_TRUE(store->take_over(*store->leader(), {0, "routing-1", 5, "", 0}));
  EXPECT_EQ(store->commit(first, state(2, 3), 1).code(), errc::stale_epoch);
  expect_same(store->load(), first);
  EXPECT_TRUE(store->commit(first, state(2, 3), 2));
}

TEST_P(meta_stores, a_commit_is_a_sign_of_life_of_the_leader) {
  const auto seen = *store->leader();
  ASSERT_TRUE(store->commit({}, state(1, 2), 1));
  EXPECT_EQ(store->take_over(seen, {0, "routing-1", 5, "", 0}).code(), errc::stale_epoch);
}

TEST_P(meta_stores, keep_the_term_when_the_leader_resigns) {
  EXPECT_EQ(store->resign(7).code(), errc::stale_epoch);
  ASSERT_TRUE(store->resign(1));
  const auto row = store->leader();
  ASSERT_TRUE(row);
  EXPECT_EQ(row->node, "");
  EXPECT_EQ(row->term, 1U);
  ASSERT_TRUE(store->take_over(*row, self));
  EXPECT_EQ(store->leader()->term, 2U);
}

TEST_P(meta_stores, let_one_of_many_take_over_at_once) {
  if (dsn == "memory:") return;  // one object, one user
  const auto seen = *store->leader();
  std::atomic<int> winners = 0;
  std::vector<std::thread> all;
  for (uint64_t i = 0; i < 4; ++i) {
    all.emplace_back([&, i] {
      const auto own = make_meta_store(dsn);
      if (own->open() && own->take_over(seen, {0, "routing-" + std::to_string(i), i, "", 0})) ++winners;
    });
  }
  for (auto& each : all) each.join();
  EXPECT_EQ(winners, 1);
  EXPECT_EQ(store->leader()->term, 2U);
}

INSTANTIATE_TEST_SUITE_P(every, meta_stores, ::testing::Values("memory:", "sqlite", "pg"),
                         [](const ::testing::TestParamInfo<std::string>& parameter) {
                           return parameter.param.substr(0, parameter.param.find(':'));
                         });

TEST(meta_store_pg, an_unreachable_database_is_unavailable_and_works_again_when_it_is_back) {
  auto& postgres = server();
  ASSERT_TRUE(postgres.create_database("away"));
  const auto store = make_meta_store(postgres.dsn("away"));
  meta_state first;
  first.version = 1;
  ASSERT_TRUE(store->take_over({}, {0, "routing-0", 1, "", 0}));
  ASSERT_TRUE(store->commit({}, first, 1));
  postgres.stop_immediately();
  meta_state second;
  second.version = 2;
  EXPECT_FALSE(store->commit(first, second, 1));
  EXPECT_EQ(store->commit(first, second, 1).code(), errc::unavailable);
  EXPECT_EQ(store->load().code(), errc::unavailable);
  ASSERT_TRUE(postgres.restart());
  const auto stored = store->load();
  ASSERT_TRUE(stored) << stored.error().detail;
  EXPECT_EQ(stored->version, 1U);
  EXPECT_TRUE(store->commit(first, second, 1));
}

}  // namespace
}  // namespace tern::routing

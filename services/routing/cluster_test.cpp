#include "services/routing/cluster.hpp"

#include <gtest/gtest.h>

#include "libs/testing/fake_clock.hpp"

namespace tern::routing {
namespace {

using std::chrono::milliseconds;

class cluster_rules : public ::testing::Test {
 protected:
  static cluster_options options() {
    cluster_options how;
    how.shards = {"a", "b"};
    how.self = {"routing-0", "routing", "addr-routing-0", 1, true};
    return how;
  }
  void join(cluster& at, const std::string& service, const std::string& name, uint64_t incarnation = 1,
            std::vector<std::string> shards = {}, bool wanted = true) {
    at.members().join({{name, service, "addr-" + name, incarnation, true}, std::move(shards), wanted});
  }
  void join(const std::string& service, const std::string& name, uint64_t incarnation = 1,
            std::vector<std::string> shards = {}, bool wanted = true) {
    join(routing, service, name, incarnation, std::move(shards), wanted);
  }
  /// Time passes; what is planned is committed, as with a database that is always there.
  void pass(milliseconds by) {
    time.advance(by);
    routing.members().tick();
    while (auto next = routing.plan()) {
      EXPECT_EQ(next->version, routing.state().version + 1);
      routing.committed(*std::move(next));
    }
  }
  void keep_alive(std::initializer_list<std::pair<const char*, uint64_t>> names, milliseconds by) {
    for (auto left = by; left.count() > 0; left -= milliseconds(1000)) {
      for (const auto& [name, incarnation] : names) routing.members().renew(name, incarnation);
      pass(milliseconds(1000));
    }
  }
  size_t slots_of(const std::string& name) const {
    size_t sum = 0;
    for (const auto& each : routing.state().sessions.ranges()) {
      if (each.owner == name) sum += each.last - each.first + 1;
    }
    return sum;
  }

  testing::fake_clock time;
  cluster routing{time, options()};
};

TEST_F(cluster_rules, the_first_plan_spreads_slots_over_the_configured_shards) {
  pass(milliseconds(0));
  const auto& state = routing.state();
  EXPECT_EQ(state.storage.find(0)->owner, "a");
  EXPECT_EQ(state.storage.find(slot_count - 1)->owner, "b");
  EXPECT_EQ(state.shards, (std::vector<placement::shard>{{"a", "", 0}, {"b", "", 0}}));
  EXPECT_TRUE(state.find_node("routing-0")->alive);
  EXPECT_FALSE(routing.plan()) << "nothing to do twice";
}

TEST_F(cluster_rules, nodes_that_start_together_share_one_move) {
  join("session", "session-0");
  pass(milliseconds(100));
  EXPECT_TRUE(routing.state().sessions.ranges().empty());
  EXPECT_NE(routing.state().find_node("session-0"), nullptr) << "it is seen at once";
  join("session", "session-1");
  join("session", "session-2");
  pass(milliseconds(200));
  pass(milliseconds(100));
  EXPECT_EQ(slots_of("session-0") + slots_of("session-1") + slots_of("session-2"), slot_count);
  EXPECT_GT(slots_of("session-1"), slot_count / 4);
}

TEST_F(cluster_rules, a_gateway_gets_no_slots) {
  join("gateway", "gateway-0", 1, {}, false);
  pass(milliseconds(1000));
  EXPECT_TRUE(routing.state().sessions.ranges().empty());
}

TEST_F(cluster_rules, a_dead_nodes_slots_go_to_the_others_after_its_lease_with_a_higher_epoch) {
  join("session", "session-0");
  join("session", "session-1");
  pass(milliseconds(300));
  const auto before = routing.state();
  keep_alive({{"session-1", 1}}, milliseconds(5000));
  EXPECT_GT(slots_of("session-0"), 0U);
  keep_alive({{"session-1", 1}}, milliseconds(1000));
  EXPECT_EQ(slots_of("session-1"), slot_count);
  EXPECT_EQ(routing.state().find_node("session-0"), nullptr);
  for (const auto& old : before.sessions.ranges()) {
    const auto* now = routing.state().sessions.find(old.first);
    EXPECT_EQ(now->epoch > old.epoch, old.owner == "session-0");
  }
}

TEST_F(cluster_rules, the_last_node_keeps_its_slots_when_dead_and_gets_them_again) {
  join("session", "session-0");
  pass(milliseconds(300));
  const auto epoch = routing.state().sessions.find(0)->epoch;
  pass(milliseconds(6000));
  EXPECT_EQ(slots_of("session-0"), slot_count);
  EXPECT_FALSE(routing.state().find_node("session-0")->alive);
  join("session", "session-0", 2);
  pass(milliseconds(0));
  EXPECT_TRUE(routing.state().find_node("session-0")->alive);
  EXPECT_GT(routing.state().sessions.find(0)->epoch, epoch);
}

TEST_F(cluster_rules, a_restarted_node_has_its_slots_again_at_once_with_a_higher_epoch) {
  join("session", "session-0");
  join("session", "session-1");
  pass(milliseconds(300));
  const auto before = routing.state();
  join("session", "session-0", 2);
  pass(milliseconds(0));
  for (const auto& old : before.sessions.ranges()) {
    const auto* now = routing.state().sessions.find(old.first);
    EXPECT_EQ(now->owner, old.owner);
    EXPECT_EQ(now->epoch > old.epoch, old.owner == "session-0");
  }
  const auto once = routing.state().version;
  pass(milliseconds(100));
  EXPECT_EQ(routing.state().version, once) << "epochs are raised once";
}

TEST_F(cluster_rules, a_draining_node_gives_everything_away_at_once) {
  join("session", "session-0");
  join("session", "session-1");
  pass(milliseconds(300));
  join("session", "session-0", 1, {}, false);
  pass(milliseconds(0));
  EXPECT_EQ(slots_of("session-1"), slot_count);
  EXPECT_TRUE(routing.state().find_node("session-0")->alive);
}

TEST_F(cluster_rules, shards_follow_their_storage_nodes) {
  join("storage", "storage-0", 1, {"a", "b"});
  join("storage", "storage-1", 1, {"b", "a"});
  pass(milliseconds(300));
  EXPECT_EQ(routing.state().find_shard("a")->owner, "storage-0");
  EXPECT_EQ(routing.state().find_shard("b")->owner, "storage-1");
  const auto epoch = routing.state().find_shard("b")->epoch;
  routing.members().leave("storage-1", 1);
  pass(milliseconds(0));
  EXPECT_EQ(routing.state().find_shard("b")->owner, "storage-0");
  EXPECT_GT(routing.state().find_shard("b")->epoch, epoch);
  EXPECT_EQ(routing.state().storage.ranges().size(), 2U) << "slots stay on their shards";
}

TEST_F(cluster_rules, who_comes_back_before_its_death_is_committed_gets_a_new_epoch) {
  join("storage", "storage-0", 1, {"a", "b"});
  join("storage", "storage-1", 1, {"b", "a"});
  pass(milliseconds(300));
  ASSERT_EQ(routing.state().find_shard("b")->owner, "storage-1");
  const auto before = routing.state().find_shard("b")->epoch;
  time.advance(milliseconds(5000));
  routing.members().renew("storage-0", 1);
  time.advance(milliseconds(1500));
  ASSERT_TRUE(routing.members().tick());
  const auto lost = routing.plan();
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->find_shard("b")->owner, "storage-0");
  routing.uncommitted();  // the database was away
  join("storage", "storage-1", 2, {"b", "a"});
  pass(milliseconds(300));
  EXPECT_GT(routing.state().find_shard("b")->epoch, before)
      << "its former process may have told others of the old one";
}

TEST_F(cluster_rules, after_a_restart_of_routing_nodes_keep_their_slots_for_one_lease) {
  join("session", "session-0");
  join("session", "session-1");
  join("storage", "storage-0", 1, {"a", "b"});
  pass(milliseconds(300));
  const auto before = routing.state();
  cluster again{time, options()};
  again.load(before);
  EXPECT_FALSE(again.plan());
  time.advance(milliseconds(5999));
  join(again, "session", "session-0");
  join(again, "storage", "storage-0", 1, {"a", "b"});
  again.members().tick();
  EXPECT_FALSE(again.plan());
  time.advance(milliseconds(1));
  again.members().tick();
  const auto next = again.plan();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->find_node("session-1"), nullptr);
  EXPECT_EQ(next->sessions.find(0)->owner, "session-0");
  EXPECT_EQ(next->sessions.find(slot_count - 1)->owner, "session-0");
  EXPECT_EQ(next->shards, before.shards);
}

TEST_F(cluster_rules, a_node_that_restarted_while_routing_was_down_is_found_out) {
  join("session", "session-0", 1);
  pass(milliseconds(300));
  const auto before = routing.state();
  cluster again{time, options()};
  again.load(before);
  join(again, "session", "session-0", 2);
  const auto next = again.plan();
  ASSERT_TRUE(next);
  EXPECT_GT(next->sessions.find(0)->epoch, before.sessions.find(0)->epoch);
}

TEST_F(cluster_rules, changes_are_counted_by_reason) {
  std::vector<size_t> sum;
  const auto counts = [&](milliseconds by) {
    time.advance(by);
    routing.tick();
    sum.assign(move_reasons, 0);
    while (auto next = routing.plan()) {
      const auto more = routing.count_changes(*next);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
      routing.committed(*std::move(next));
    }
    return sum;
  };
  const auto at = [](move_reason reason) { return static_cast<size_t>(reason); };
  join("session", "session-0");
  EXPECT_EQ(counts(milliseconds(300))[at(move_reason::first)], 1U);
  join("session", "session-1");
  EXPECT_EQ(counts(milliseconds(300))[at(move_reason::join)], 1U);
  join("session", "session-1", 2);
  EXPECT_EQ(counts(milliseconds(0))[at(move_reason::restart)], 1U);
  join("session", "session-0", 1, {}, false);
  EXPECT_EQ(counts(milliseconds(0))[at(move_reason::drain)], 1U);
  join("session", "session-0", 1);
  counts(milliseconds(300));
  routing.members().leave("session-1", 2);
  EXPECT_GE(counts(milliseconds(0))[at(move_reason::death)], 1U);
}

}  // namespace
}  // namespace tern::routing

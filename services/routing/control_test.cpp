#include "services/routing/control.hpp"

#include <gtest/gtest.h>
#include <tern/routing/v1/routing.pb.h>

#include "libs/testing/fake_clock.hpp"

namespace tern::routing {
namespace {

using std::chrono::milliseconds;

class control : public ::testing::Test {
 protected:
  control() {
    for (const auto* name : {"session-0", "session-1"}) join("session", name);
    join("group", "group-0");
    join("gateway", "gateway-0", false);
    join("storage", "storage-0");
    time.advance(milliseconds(300));
    at.tick();
    plan();
  }
  static cluster_options options() {
    cluster_options how;
    how.shards = {"a"};
    how.self = {"routing-0", "routing", "addr", 1, true};
    return how;
  }
  void join(const std::string& service, const std::string& name, bool wanted = true) {
    at.members().join({{name, service, "addr-" + name, 1, true}, {"a"}, wanted, true});
  }
  void plan() {
    while (auto next = at.plan()) at.committed(*std::move(next));
  }
  v1::ControlReply ask(const v1::ControlRequest& what) {
    v1::ControlReply reply;
    answer(at, what, reply);
    EXPECT_EQ(reply.call(), what.call());
    return reply;
  }
  v1::ControlReply migrate(uint32_t first, uint32_t last, const std::string& target,
                           v1::MoveOrder::Kind kind = v1::MoveOrder::SESSIONS) {
    v1::ControlRequest what;
    what.set_call(5);
    what.mutable_migrate()->set_first(first);
    what.mutable_migrate()->set_last(last);
    what.mutable_migrate()->set_target(target);
    what.mutable_migrate()->set_kind(kind);
    return ask(what);
  }
  v1::ControlReply drain(const std::string& node, bool on = true) {
    v1::ControlRequest what;
    what.mutable_drain()->set_node(node);
    what.mutable_drain()->set_on(on);
    return ask(what);
  }
  v1::Status status() {
    v1::Status made;
    fill(at, time, 3, made);
    return made;
  }
  std::string state(const std::string& node) {
    const auto now = status();
    for (const auto& each : now.nodes()) {
      if (each.name() == node) return each.state();
    }
    return "unknown";
  }
  void expect_refused(const v1::ControlReply& reply, errc code, const std::string& text) {
    EXPECT_EQ(reply.code(), static_cast<int32_t>(code));
    EXPECT_NE(reply.text().find(text), std::string::npos) << reply.text();
    EXPECT_EQ(at.wanted(), intents{});
  }

  testing::fake_clock time;
  cluster at{time, options(), 3};
};

TEST_F(control, refuses_to_migrate_what_makes_no_sense_and_says_why) {
  expect_refused(migrate(0, slot_count, "session-1"), errc::bad_parameter, "slots are 0 to 1048575");
  expect_refused(migrate(9, 8, "session-1"), errc::bad_parameter, "slots are");
  expect_refused(migrate(0, 63, "session-7"), errc::not_found, "no node 'session-7' is known");
  expect_refused(migrate(0, 63, "group-0"), errc::bad_parameter, "is a group node");
  expect_refused(migrate(0, 63, "session-0", v1::MoveOrder::GROUPS), errc::bad_parameter, "live on group nodes");
  join("session", "session-1", false);
  expect_refused(migrate(0, 63, "session-1"), errc::unavailable, "is being drained");
  expect_refused(ask({}), errc::bad_parameter, "does not know");
}

TEST_F(control, refuses_a_target_that_is_not_alive) {
  at.members().leave("session-1", 1);
  expect_refused(migrate(0, 63, "session-1"), errc::unavailable, "is not alive");
  expect_refused(drain("session-1"), errc::unavailable, "is not alive");
}

TEST_F(control, migrates_whole_units_and_shows_what_moves) {
  const auto reply = migrate(100, 200, "session-1");
  EXPECT_EQ(reply.code(), 0);
  ASSERT_EQ(reply.plan_size(), 1);
  EXPECT_EQ(reply.plan(0).first(), 64U);
  EXPECT_EQ(reply.plan(0).last(), 255U);
  EXPECT_EQ(reply.plan(0).source(), "session-0");
  EXPECT_EQ(reply.plan(0).target(), "session-1");
  EXPECT_EQ(reply.plan(0).state(), "planned");
  EXPECT_EQ(reply.plan(0).reason(), "operator");
  ASSERT_EQ(status().pinned_size(), 1);
  EXPECT_EQ(status().pinned(0).last(), 255U);
  v1::ControlRequest release;
  release.mutable_migrate()->set_first(0);
  release.mutable_migrate()->set_last(slot_count - 1);
  release.mutable_migrate()->set_release(true);
  EXPECT_EQ(ask(release).code(), 0);
  EXPECT_EQ(at.wanted(), intents{});
}

TEST_F(control, drains_a_node_and_takes_it_back) {
  for (const auto* name : {"session-0", "session-1", "gateway-0"}) at.members().report(name, 1, 0, 1);
  EXPECT_EQ(state("session-0"), "up");
  const auto reply = drain("session-0");
  EXPECT_EQ(reply.code(), 0) << reply.text();
  ASSERT_EQ(reply.plan_size(), 1);
  EXPECT_EQ(reply.plan(0).reason(), "drain");
  EXPECT_EQ(reply.plan(0).source(), "session-0");
  EXPECT_EQ(state("session-0"), "draining");
  EXPECT_EQ(drain("session-1").code(), static_cast<int32_t>(errc::unavailable)) << "it is the last one";
  plan();
  const auto orders = at.orders();
  ASSERT_EQ(orders.size(), 1U);
  const auto moving = status();
  ASSERT_EQ(moving.moves_size(), 1);
  EXPECT_EQ(moving.moves(0).state(), "ordered");
  at.on_result("session-0", {orders[0].order.move, errc::ok, 3, {}});
  plan();
  EXPECT_EQ(state("session-0"), "drained");
  EXPECT_EQ(status().moves(0).state(), "done");
  EXPECT_EQ(status().moves(0).moved(), 3U);
  EXPECT_EQ(status().moves_done(), 1U);
  EXPECT_EQ(drain("session-0", false).code(), 0);
  EXPECT_EQ(state("session-0"), "up");
  EXPECT_EQ(drain("session-0", false).code(), 0) << "it is so already";
}

TEST_F(control, refuses_to_drain_what_nobody_can_replace) {
  expect_refused(drain("group-0"), errc::unavailable, "no other group node to drain group-0 to");
  expect_refused(drain("storage-0"), errc::unavailable, "no other storage node can serve shard a");
  expect_refused(drain("routing-0"), errc::bad_parameter, "a routing node cannot be drained");
  expect_refused(drain("nobody"), errc::not_found, "no node 'nobody'");
  expect_refused(drain("nobody", false), errc::not_found, "no node 'nobody'");
  join("storage", "storage-1");
  time.advance(milliseconds(300));
  at.tick();
  EXPECT_EQ(drain("storage-0").code(), 0);
  plan();
  EXPECT_EQ(at.state().find_shard("a")->owner, "storage-1");
}

TEST_F(control, a_gateway_that_drains_is_drained_when_nobody_is_connected) {
  at.members().report("gateway-0", 1, 7, 1);
  EXPECT_EQ(state("gateway-0"), "up");
  EXPECT_EQ(drain("gateway-0").code(), 0);
  EXPECT_EQ(state("gateway-0"), "draining");
  at.members().report("gateway-0", 1, 0, 1);
  EXPECT_EQ(state("gateway-0"), "drained");
}

TEST_F(control, tells_silent_and_dead_nodes) {
  join("session", "session-2");
  at.members().report("session-2", 1, 11, 4);
  EXPECT_EQ(state("session-2"), "joining");
  time.advance(milliseconds(3100));
  EXPECT_EQ(state("session-2"), "silent");
  at.members().leave("session-0", 1);
  EXPECT_EQ(state("session-0"), "dead");
  const auto now = status();
  for (const auto& each : now.nodes()) {
    if (each.name() != "session-2") continue;
    EXPECT_EQ(each.load(), 11U);
    EXPECT_EQ(each.map_version(), 4U);
    EXPECT_EQ(each.heard_ms(), 3100);
  }
  EXPECT_EQ(status().leader(), "routing-0");
  EXPECT_EQ(status().term(), 3U);
  EXPECT_EQ(status().maps().version(), at.state().version);
}

TEST_F(control, a_dry_run_changes_nothing) {
  join("session", "session-2");
  time.advance(milliseconds(300));
  at.tick();
  v1::ControlRequest what;
  what.mutable_rebalance()->set_dry_run(true);
  const auto reply = ask(what);
  EXPECT_EQ(reply.plan_size(), 2);
  EXPECT_EQ(reply.plan(0).reason(), "join");
  EXPECT_TRUE(at.orders().empty());
  what.mutable_rebalance()->set_dry_run(false);
  EXPECT_EQ(ask(what).plan_size(), 2);
  plan();
  EXPECT_EQ(at.orders().size(), 2U);
}

}  // namespace
}  // namespace tern::routing

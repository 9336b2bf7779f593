// The driver through cluster, with storage nodes that do what they are told to as the protocol says, at their own
// pace.
#include "services/routing/shard_driver.hpp"

#include <gtest/gtest.h>
#include <tern/routing/v1/routing.pb.h>

#include <map>
#include <random>

#include "libs/testing/fake_clock.hpp"
#include "services/routing/cluster.hpp"
#include "services/routing/control.hpp"

namespace tern::routing {
namespace {

using std::chrono::milliseconds;

/// What the databases know of one move.
struct stored_range {
  shard_told source = shard_told::none;  // copying, sealed; none: served; finished: gone for good
  bool left = false;                     // the source never serves it again
  bool open = false;                     // at the target
};

class shard_moves : public ::testing::Test {
 protected:
  shard_moves() {
    lead();
    pass();
  }
  cluster_options options() {
    cluster_options how;
    how.shards = {"a", "b"};
    how.self = {"routing-0", "routing", "addr", 1, true};
    how.shard_moves.keep = std::chrono::seconds(3600);
    how.shard_moves.wall = [this] { return wall; };
    return how;
  }
  /// Another leader, which knows what is in the meta database.
  void lead() {
    const auto before = at ? at->state() : meta_state{};
    at = std::make_unique<cluster>(time, options(), ++term);
    at->load(before);
    at->want(database);
    at->stored(database);
    for (const auto* name : {"storage-0", "storage-1"}) {
      if (!dead.contains(name)) at->members().join({{name, "storage", "addr", 1, true}, {"a", "b", "c"}, true});
    }
    time.advance(milliseconds(300));
    at->members().tick();
  }
  void store() {
    database = at->wanted();
    at->stored(database);
  }
  void plan() {
    auto next = at->plan();
    if (!next) return;
    check(*next);
    if (commits) at->committed(*std::move(next));
  }
  /// A slot whose source may be serving never belongs to the target.
  void check(const meta_state& next) {
    for (const auto& each : at->wanted().shard_moves) {
      const bool was = at->state().storage.find(each.first)->owner == each.target;
      const bool is = next.storage.find(each.first)->owner == each.target;
      if (was || !is) continue;
      EXPECT_EQ(ranges[each.move].source, shard_told::sealed) << "move " << each.move;
    }
  }
  /// Everything that can be done at this moment.
  void pass(milliseconds by = milliseconds(100)) {
    time.advance(by);
    for (const auto* name : {"storage-0", "storage-1"}) {
      if (!dead.contains(name)) at->members().renew(name, 1);
    }
    at->tick();
    plan();
    store();
    for (const auto& order : at->shard_orders()) {
      orders.push_back(order);
      if (deaf || dead.contains(order.node)) continue;
      at->on_shard_progress(order.node, obey(order));
      plan();
      store();
    }
  }
  void pass_until(const std::function<bool()>& what, int rounds = 200) {
    for (int i = 0; i < rounds && !what(); ++i) pass();
    EXPECT_TRUE(what());
  }
  shard_progress obey(const shard_order& order) {
    auto& range = ranges[order.what.move];
    shard_progress said;
    said.move = order.what.move;
    const auto fail = [&](const std::string& why) {
      said.told = shard_told::failed;
      said.error = why;
      return said;
    };
    switch (order.step) {
      case shard_step::copy:
        if (range.left) return fail("it has left");
        range.source = shard_told::copying;
        said.told = ++copied[order.what.move] % 3 == 0 ? shard_told::ready : shard_told::copying;
        said.rows = 50;
        said.rows_all = 100;
        return said;
      case shard_step::seal:
        if (seals_fail > 0) {
          --seals_fail;
          return fail("it took too long");
        }
        range.source = shard_told::sealed;
        said.told = shard_told::sealed;
        said.stalled = std::chrono::milliseconds(40);
        return said;
      case shard_step::open:
        EXPECT_EQ(range.source, shard_told::sealed);
        EXPECT_EQ(at->state().storage.find(order.what.first)->owner, order.what.target);
        range.left = range.open = true;
        said.told = shard_told::open;
        return said;
      case shard_step::abort:
        EXPECT_FALSE(range.open);
        EXPECT_FALSE(range.left);
        range = {};
        said.told = shard_told::reopened;
        return said;
      case shard_step::finish:
        EXPECT_TRUE(range.open);
        if (differs) return fail("the target has something else");
        range.source = shard_told::finished;
        said.told = shard_told::finished;
        return said;
    }
    return said;
  }
  v1::ControlReply ask(const v1::ControlRequest& what) {
    v1::ControlReply reply;
    answer(*at, what, reply);
    store();
    return reply;
  }
  v1::ControlReply move(uint32_t first, uint32_t last, const std::string& from = "a", const std::string& to = "b",
                        bool dry = false) {
    v1::ControlRequest what;
    auto& one = *what.mutable_shard_move();
    one.set_source(from);
    one.set_target(to);
    one.set_first(first);
    one.set_last(last);
    one.set_dry_run(dry);
    return ask(what);
  }
  std::string stage(uint64_t of) const {
    for (const auto& each : at->shard_move_views()) {
      if (each.what.move == of) return std::string(to_string(each.stage));
    }
    for (const auto& each : at->shard_moves().ended()) {
      if (each.what.move == of) return std::string(to_string(each.stage));
    }
    return "unknown";
  }
  v1::ControlReply finish(uint64_t of) {
    v1::ControlRequest what;
    what.mutable_shard_finish()->set_move(of);
    return ask(what);
  }
  v1::ControlReply roll_back(uint64_t of) {
    v1::ControlRequest what;
    what.mutable_shard_rollback()->set_move(of);
    return ask(what);
  }
  v1::ControlReply abort(uint64_t of) {
    v1::ControlRequest what;
    what.mutable_shard_abort()->set_move(of);
    return ask(what);
  }
  std::string owner(slot_type slot) const { return at->state().storage.find(slot)->owner; }

  testing::fake_clock time;
  std::unique_ptr<cluster> at;
  uint64_t term = 0;
  intents database;
  bool commits = true;
  bool deaf = false;
  bool differs = false;
  int seals_fail = 0;
  std::set<std::string> dead;
  std::map<uint64_t, stored_range> ranges;
  std::map<uint64_t, int> copied;
  std::vector<shard_order> orders;
  int64_t wall = 1'000'000;
};

TEST_F(shard_moves, go_from_copy_to_kept_and_are_finished_when_nobody_wants_them_back) {
  const auto epoch = at->state().storage.find(0)->epoch;
  EXPECT_EQ(move(0, 99).shard_plan_size(), 1);
  pass_until([&] { return stage(1) == "kept"; });
  EXPECT_EQ(owner(0), "b");
  EXPECT_EQ(owner(100), "a");
  EXPECT_GT(at->state().storage.find(0)->epoch, epoch);
  pass(milliseconds(10'000));
  EXPECT_EQ(stage(1), "kept");
  wall += 3600;
  pass_until([&] { return stage(1) == "done"; });
  EXPECT_TRUE(at->wanted().shard_moves.empty());
  EXPECT_EQ(at->take_shard_outcomes().done, 1U);
}

TEST_F(shard_moves, a_dry_run_wants_nothing) {
  const auto reply = move(0, 99, "a", "b", true);
  ASSERT_EQ(reply.shard_plan_size(), 1);
  EXPECT_EQ(reply.shard_plan(0).state(), "planned");
  EXPECT_TRUE(at->wanted().shard_moves.empty());
}

TEST_F(shard_moves, nothing_is_ordered_before_it_is_stored) {
  v1::ControlRequest what;
  what.mutable_shard_move()->set_source("a");
  what.mutable_shard_move()->set_target("b");
  what.mutable_shard_move()->set_last(9);
  v1::ControlReply reply;
  answer(*at, what, reply);
  EXPECT_TRUE(at->shard_orders().empty());
  store();
  EXPECT_EQ(at->shard_orders().size(), 1U);
}

TEST_F(shard_moves, of_one_source_go_one_after_the_other_by_number) {
  move(0, 99);
  move(100, 199);
  pass();
  EXPECT_EQ(stage(1), "copying");
  EXPECT_EQ(stage(2), "waiting");
  pass_until([&] { return stage(2) == "kept"; });
}

TEST_F(shard_moves, an_order_that_is_not_answered_is_sent_again_and_one_that_is_answered_is_not) {
  deaf = true;
  move(0, 99);
  for (int i = 0; i < 40; ++i) pass();
  EXPECT_GE(orders.size(), 2U);
  EXPECT_LE(orders.size(), 4U);
}

TEST_F(shard_moves, a_seal_that_took_too_long_is_tried_again_and_given_up_after_five) {
  seals_fail = 2;
  move(0, 99);
  pass_until([&] { return stage(1) == "kept"; });
  seals_fail = 5;
  move(200, 299);
  pass_until([&] { return stage(2) == "aborted"; }, 400);
  EXPECT_EQ(owner(200), "a");
  EXPECT_EQ(at->take_shard_outcomes().aborted, 1U);
}

TEST_F(shard_moves, can_be_given_up_before_the_decision_only) {
  move(0, 99);
  pass();
  EXPECT_EQ(abort(1).code(), 0);
  pass_until([&] { return stage(1) == "aborted"; });
  EXPECT_EQ(owner(0), "a");
  EXPECT_EQ(abort(1).code(), static_cast<int32_t>(errc::not_found));
  move(0, 99);
  pass_until([&] { return stage(2) == "kept"; });
  EXPECT_EQ(abort(2).code(), static_cast<int32_t>(errc::unavailable));
}

TEST_F(shard_moves, while_a_decision_may_be_in_force_nothing_is_ordered_or_given_up) {
  commits = false;
  move(0, 99);
  pass_until([&] { return stage(1) == "deciding"; });
  at->uncommitted();
  EXPECT_EQ(abort(1).code(), static_cast<int32_t>(errc::unavailable));
  orders.clear();
  for (int i = 0; i < 50; ++i) pass();
  EXPECT_TRUE(orders.empty());
  commits = true;
  pass_until([&] { return stage(1) == "kept"; });
}

TEST_F(shard_moves, rolled_back_and_back_again) {
  move(0, 99);
  EXPECT_EQ(roll_back(1).code(), static_cast<int32_t>(errc::unavailable)) << "not kept yet";
  pass_until([&] { return stage(1) == "kept"; });
  EXPECT_EQ(roll_back(1).code(), 0);
  EXPECT_EQ(roll_back(1).code(), static_cast<int32_t>(errc::not_found));
  pass_until([&] { return stage(2) == "kept"; });
  EXPECT_EQ(owner(0), "a");
  EXPECT_EQ(orders.back().what.back_of, 1U);
  EXPECT_EQ(at->take_shard_outcomes().rolled_back, 1U);
  EXPECT_EQ(finish(2).code(), 0);
  pass_until([&] { return stage(2) == "done"; });
}

TEST_F(shard_moves, a_way_back_that_is_given_up_leaves_the_move_kept) {
  move(0, 99);
  pass_until([&] { return stage(1) == "kept"; });
  roll_back(1);
  pass();
  abort(2);
  pass_until([&] { return stage(1) == "kept"; });
  EXPECT_EQ(stage(2), "aborted");
  EXPECT_EQ(owner(0), "b");
  const auto* kept = at->wanted().find_shard_move(1);
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->source, "a");
  EXPECT_EQ(kept->target, "b");
}

TEST_F(shard_moves, what_differs_at_the_end_is_kept_and_said) {
  move(0, 99);
  pass_until([&] { return stage(1) == "kept"; });
  differs = true;
  finish(1);
  pass_until([&] { return stage(1) == "kept"; });
  EXPECT_FALSE(at->wanted().find_shard_move(1)->error.empty());
  wall += 10'000;
  for (int i = 0; i < 20; ++i) pass();
  EXPECT_EQ(stage(1), "kept") << "nobody deletes it by itself";
  differs = false;
  finish(1);
  pass_until([&] { return stage(1) == "done"; });
}

TEST_F(shard_moves, a_shards_other_node_goes_on) {
  move(0, 99);
  pass();
  const auto first = orders.back().node;
  dead.insert(first);
  pass_until([&] { return stage(1) == "kept"; }, 400);
  EXPECT_NE(orders.back().node, first);
}

TEST_F(shard_moves, any_leader_goes_on_from_anywhere) {
  std::mt19937 random(11);
  for (uint32_t round = 0; round < 200; ++round) {
    const auto first = round * 10;
    const bool back = random() % 3 == 0;
    const auto number = database.last_shard_move + 1;
    move(first, first + 9);
    auto follow = number;
    for (int i = 0; i < 400; ++i) {
      if (random() % 4 == 0) lead();
      deaf = random() % 3 == 0;
      commits = random() % 4 != 0;
      seals_fail = random() % 5 == 0 ? 1 : 0;
      pass(milliseconds(random() % 800));
      if (stage(follow) == "kept" && back && follow == number && roll_back(follow).code() == 0) follow = number + 1;
      if (stage(follow) == "kept" && (!back || follow != number)) finish(follow);
      if (database.find_shard_move(number) == nullptr && database.find_shard_move(follow) == nullptr) break;
    }
    deaf = false;
    commits = true;
    seals_fail = 0;
    pass_until([&] { return database.shard_moves.empty() || stage(follow) == "kept"; }, 400);
    finish(follow);
    finish(number);
    pass_until([&] { return database.shard_moves.empty(); }, 400);
    // Where the map says, there it is open, and nowhere else.
    const auto holder = owner(first);
    const bool moved = ranges[number].open && follow == number;
    if (ranges[number].open && ranges[follow].open && follow != number) {
      EXPECT_EQ(holder, "a");
    } else {
      EXPECT_EQ(holder, moved || ranges[number].open ? "b" : "a") << "round " << round;
    }
  }
}

TEST_F(shard_moves, a_shard_is_added_when_a_storage_node_has_opened_it) {
  v1::ControlRequest what;
  what.mutable_shard_add()->set_name("c");
  what.mutable_shard_add()->set_dsn("postgresql://db/c");
  EXPECT_EQ(ask(what).code(), 0);
  EXPECT_EQ(at->known_shards().at("c").dsn, "postgresql://db/c");
  std::string why;
  EXPECT_EQ(at->added("c", why), cluster::adding::waiting);
  at->on_shards_served("storage-1", {{"c", {100, 2, 0, "connection refused"}}});
  EXPECT_EQ(at->added("c", why), cluster::adding::failed);
  EXPECT_EQ(why, "connection refused");
  EXPECT_FALSE(at->known_shards().contains("c"));
  EXPECT_EQ(ask(what).code(), 0);
  EXPECT_EQ(at->added("c", why), cluster::adding::waiting) << "what was wrong the first time is forgotten";
  at->on_shards_served("storage-1", {{"c", {100, 2, 0, ""}}});
  EXPECT_EQ(at->added("c", why), cluster::adding::accepted);
  EXPECT_EQ(at->added("c", why), cluster::adding::waiting) << "nobody serves it yet";
  store();
  pass();
  EXPECT_EQ(at->added("c", why), cluster::adding::done);
  ASSERT_NE(at->state().find_shard("c"), nullptr);
  EXPECT_FALSE(at->state().find_shard("c")->owner.empty());
  EXPECT_EQ(ask(what).code(), static_cast<int32_t>(errc::bad_parameter)) << "it is there";
  EXPECT_EQ(move(0, 9, "a", "c").code(), 0);
  pass();
  EXPECT_EQ(orders.back().target_dsn, "postgresql://db/c");
}

TEST_F(shard_moves, a_shard_nobody_opens_is_not_added) {
  v1::ControlRequest what;
  what.mutable_shard_add()->set_name("c");
  what.mutable_shard_add()->set_dsn("postgresql://db/c");
  ask(what);
  time.advance(milliseconds(15'000));
  std::string why;
  EXPECT_EQ(at->added("c", why), cluster::adding::failed);
  EXPECT_FALSE(why.empty());
}

TEST_F(shard_moves, dsns_with_passwords_and_mixed_kinds_are_refused) {
  const auto add = [&](const std::string& name, const std::string& dsn) {
    v1::ControlRequest what;
    what.mutable_shard_add()->set_name(name);
    what.mutable_shard_add()->set_dsn(dsn);
    return ask(what);
  };
  const auto bad = static_cast<int32_t>(errc::bad_parameter);
  for (const auto* dsn :
       {"", "nonsense", "postgresql://me:secret@db/c", "host=db password=secret", "host=db sslpassword=x"}) {
    EXPECT_EQ(add("c", dsn).code(), bad) << dsn;
    EXPECT_EQ(add("c", dsn).text().find("secret"), std::string::npos);
  }
  EXPECT_EQ(add("C!", "host=db").code(), bad);
  EXPECT_EQ(add("a", "host=db").code(), bad) << "it is there";
  const auto owner = at->state().find_shard("a")->owner;
  at->on_shards_served(owner, {{"a", {8192, 1, 0, ""}}});
  EXPECT_EQ(add("c", "sqlite:/tmp/c.db").code(), bad);
  EXPECT_EQ(add("c", "host=db").code(), 0);
  at->on_shards_served(owner, {{"a", {8192, 0, 0, ""}}});
  EXPECT_EQ(add("d", "host=db2").code(), bad) << "files in a cluster";
}

TEST_F(shard_moves, the_highest_term_a_shard_was_served_from_is_remembered) {
  const auto owner = at->state().find_shard("a")->owner;
  at->on_shards_served(owner, {{"a", {1, 7, 1, ""}}});
  at->on_shards_served(owner, {{"a", {1, 5, 1, ""}}});
  EXPECT_EQ(at->known_shards().at("a").term, 7U);
  at->on_shards_served(owner == "storage-0" ? "storage-1" : "storage-0", {{"a", {1, 9, 1, ""}}});
  EXPECT_EQ(at->known_shards().at("a").term, 7U) << "only who serves it counts";
}

TEST_F(shard_moves, a_drained_shard_is_empty_at_the_end_and_stays_so) {
  v1::ControlRequest what;
  what.mutable_shard_drain()->set_shard("a");
  what.mutable_shard_drain()->set_on(true);
  EXPECT_GE(ask(what).shard_plan_size(), 1);
  pass_until([&] { return slots_now(at->state(), "a") == 0; });
  EXPECT_EQ(move(slot_count - 10, slot_count - 1, "b", "a").code(), static_cast<int32_t>(errc::unavailable));
  what.mutable_shard_drain()->set_on(false);
  EXPECT_EQ(ask(what).code(), 0);
  EXPECT_FALSE(at->wanted().is_draining("a"));
}

TEST_F(shard_moves, a_drained_shard_that_nobody_lists_any_more_is_forgotten) {
  at->begin_adding("c", "host=db");
  at->on_shards_served("storage-0", {{"c", {100, 2, 0, ""}}});
  std::string why;
  ASSERT_EQ(at->added("c", why), cluster::adding::accepted);
  pass();
  pass();
  ASSERT_NE(at->state().find_shard("c"), nullptr);
  v1::ControlRequest what;
  what.mutable_shard_drain()->set_shard("c");
  what.mutable_shard_drain()->set_on(true);
  ask(what);
  pass();
  EXPECT_NE(at->state().find_shard("c"), nullptr) << "storage nodes can still serve it";
  for (const auto* name : {"storage-0", "storage-1"}) {
    at->members().join({{name, "storage", "addr", 1, true}, {"a", "b"}, true});
  }
  pass();
  EXPECT_EQ(at->state().find_shard("c"), nullptr);
}

TEST_F(shard_moves, status_tells_of_shards_and_moves) {
  move(0, 99);
  pass();
  v1::Status status;
  fill(*at, time, 1, status);
  ASSERT_EQ(status.shards_size(), 2);
  EXPECT_EQ(status.shards(0).slots() + status.shards(1).slots(), slot_count);
  ASSERT_EQ(status.shard_moves_size(), 1);
  EXPECT_EQ(status.shard_moves(0).state(), "copying");
  EXPECT_EQ(status.shard_moves(0).progress().rows(), 50U);
}

}  // namespace
}  // namespace tern::routing

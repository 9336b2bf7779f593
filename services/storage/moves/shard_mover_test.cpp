// Moves of slots under load, ordered over Join streams: what was acknowledged is there afterwards, no call failed,
// and nodes may die at every step.
#include "services/storage/moves/shard_mover.hpp"

#include <cstdio>

#include "services/storage/moves/move_side.hpp"
#include "services/storage/repositories/store_fixture.hpp"
#include "services/storage/testing/move_world.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using testing::move_world;
using testing::ShardMoveOrder;
using testing::ShardMoveProgress;
using testing::world_options;

constexpr slot_type first = slot_count / 4, last = slot_count / 4 * 3 - 1;
constexpr slot_range moved{first, last};

struct killed : std::exception {
  const char* what() const noexcept override { return "killed"; }
};

struct layout {
  std::string name, source, target;
  bool one_node;
};

class shard_mover_test : public ::testing::TestWithParam<layout> {
 protected:
  void SetUp() override {
    how_.s0 = make(GetParam().source, "s0");
    how_.s1 = make(GetParam().target, "s1");
    how_.one_node = GetParam().one_node;
    how_.moves.look_every = 50ms;
    how_.moves.seal_limit = 10s;  // on a busy machine too: how long it takes is printed, not tested
  }
  void begin() { world_ = std::make_unique<move_world>(how_); }
  std::string make(const std::string& kind, const std::string& name) {
    return kind == "pg" ? fresh_database() : "sqlite:" + (directory_.path() / (name + ".db")).string();
  }
  /// Gives the order until it is answered; what else may be answered fails the test.
  std::optional<ShardMoveProgress> ask(ShardMoveOrder::Step step, ShardMoveProgress::State wanted, uint64_t move = 7,
                                       uint64_t back_of = 0) {
    world_->routing.forget();
    world_->order(step, move, first, last, back_of);
    auto got = world_->routing.wait_for(move, {wanted, ShardMoveProgress::FAILED});
    EXPECT_TRUE(got && got->state() == wanted) << (got ? got->error() : "no answer to step " + std::to_string(step));
    return got;
  }
  /// COPY to OPEN. How long the writers waited at most is printed.
  void move_over(uint64_t move, const std::string& to, uint64_t back_of = 0) {
    world_->chat->longest();
    ask(ShardMoveOrder::COPY, ShardMoveProgress::READY, move, back_of);
    std::this_thread::sleep_for(300ms);
    const auto copying = world_->chat->longest();
    const auto sealed = ask(ShardMoveOrder::SEAL, ShardMoveProgress::SEALED, move, back_of);
    world_->decide(first, last, to);
    ask(ShardMoveOrder::OPEN, ShardMoveProgress::OPEN, move, back_of);
    std::this_thread::sleep_for(300ms);
    std::printf(
        "move %llu: slowest write while copying %lld us, sealed in %llu us, slowest then %lld us, %llu written, %llu "
        "failed %s\n",
        static_cast<unsigned long long>(move), static_cast<long long>(copying.count()),
        static_cast<unsigned long long>(sealed ? sealed->stalled_us() : 0),
        static_cast<long long>(world_->chat->longest().count()),
        static_cast<unsigned long long>(world_->chat->acknowledged),
        static_cast<unsigned long long>(world_->chat->failed), world_->chat->first_failure().c_str());
  }
  static int64_t rows_in(const std::string& dsn) { return *(*move_side::open(dsn))->count(moved); }
  static std::vector<range_row> states(const std::string& dsn) { return *(*move_side::open(dsn))->ranges(); }
  /// All that was acknowledged was handed to the recipient's session.
  void all_delivered() {
    const auto wanted = world_->chat->acknowledged_places();
    std::set<std::pair<uint64_t, uint64_t>> missing;
    for (int i = 0; i < 400; ++i) {
      missing = wanted;
      for (const auto& one : world_->session.received())
        missing.erase({one.conversation().hi(), one.message().mid()});
      if (missing.empty()) return;
      std::this_thread::sleep_for(25ms);
    }
    ADD_FAILURE() << missing.size() << " of " << wanted.size() << " were not delivered";
  }

  tern::testing::temp_dir directory_;
  world_options how_;
  std::unique_ptr<move_world> world_;
};

TEST_P(shard_mover_test, goes_over_comes_back_goes_again_and_is_finished_while_all_write) {
  begin();
  world_->chat->start(4, 500us);
  std::this_thread::sleep_for(1s);
  move_over(7, "s1");
  move_over(8, "s0", 7);
  ask(ShardMoveOrder::FINISH, ShardMoveProgress::FINISHED, 8, 7);
  EXPECT_TRUE(states(how_.s0).empty());
  move_over(9, "s1");
  ask(ShardMoveOrder::FINISH, ShardMoveProgress::FINISHED, 9);
  ask(ShardMoveOrder::FINISH, ShardMoveProgress::FINISHED, 9);
  world_->chat->stop();
  EXPECT_EQ(world_->chat->failed, 0U) << world_->chat->first_failure();
  EXPECT_GT(world_->chat->verify(), 500U);
  all_delivered();
  EXPECT_EQ(rows_in(how_.s0), 0);
  EXPECT_GT(rows_in(how_.s1), 0);
  EXPECT_TRUE(states(how_.s1).empty());
  const auto kept = states(how_.s0);
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_EQ(kept[0].state, slot_state::moved);
  EXPECT_GT(world_->metric("storage-0", "tern_storage_move_rows_total{shard=\"s0\"}"), 0);
  EXPECT_EQ(world_->metric("storage-0", "tern_storage_move_sealed_seconds_count{shard=\"s0\"}"), 2);
}

TEST_P(shard_mover_test, is_given_up_before_and_after_the_seal_and_the_source_goes_on) {
  begin();
  world_->chat->start(3, 500us);
  ask(ShardMoveOrder::COPY, ShardMoveProgress::READY);
  ask(ShardMoveOrder::ABORT, ShardMoveProgress::REOPENED);
  EXPECT_EQ(rows_in(how_.s1), 0);
  ask(ShardMoveOrder::COPY, ShardMoveProgress::READY, 8);
  ask(ShardMoveOrder::SEAL, ShardMoveProgress::SEALED, 8);
  ask(ShardMoveOrder::ABORT, ShardMoveProgress::REOPENED, 8);
  EXPECT_EQ(rows_in(how_.s1), 0);
  EXPECT_TRUE(states(how_.s0).empty());
  EXPECT_TRUE(states(how_.s1).empty());
  std::this_thread::sleep_for(200ms);
  world_->chat->stop();
  EXPECT_EQ(world_->chat->failed, 0U) << world_->chat->first_failure();
  EXPECT_GT(world_->chat->verify(), 100U);
  all_delivered();
}

TEST_P(shard_mover_test, nodes_die_at_every_step_and_nothing_is_lost) {
  std::atomic<int> left{-1};
  std::atomic<bool> dead{false};
  how_.moves.page_rows = 2'000;
  how_.moves.at_step = [&](const std::string&) {
    if (left > 0 && --left == 0) {
      dead = true;
      throw killed();
    }
  };
  begin();
  world_->chat->start(2, 2ms);
  std::this_thread::sleep_for(500ms);
  world_->chat->stop();
  int deaths = 0;
  int dies_at = 1;
  /// Until it is answered: a node that has died is started anew, and the order is given again.
  const auto drive = [&](ShardMoveOrder::Step step, ShardMoveProgress::State wanted, const std::string& node) {
    while (true) {
      ASSERT_LT(deaths, 100);
      dead = false;
      left = dies_at;
      world_->routing.forget();
      std::optional<ShardMoveProgress> got;
      for (int i = 0; i < 200 && !got && !dead; ++i) {
        world_->order(step, 7, first, last);
        got = world_->routing.wait_for(7, {wanted, ShardMoveProgress::FAILED}, 100ms);
      }
      left = -1;
      if (!dead) {
        ASSERT_TRUE(got);
        ASSERT_EQ(got->state(), wanted) << got->error();
        dies_at = 1;
        return;
      }
      ++deaths;
      ++dies_at;
      world_->restart(node);
    }
  };
  world_->chat->start(2, 2ms);
  const std::string target = GetParam().one_node ? "storage-0" : "storage-1";
  drive(ShardMoveOrder::COPY, ShardMoveProgress::READY, "storage-0");
  drive(ShardMoveOrder::SEAL, ShardMoveProgress::SEALED, "storage-0");
  world_->decide(first, last, "s1");
  drive(ShardMoveOrder::OPEN, ShardMoveProgress::OPEN, target);
  std::this_thread::sleep_for(200ms);
  drive(ShardMoveOrder::FINISH, ShardMoveProgress::FINISHED, "storage-0");
  world_->chat->stop();
  // Calls may fail while nodes are down; what was acknowledged is there.
  std::printf("%d deaths, %llu written, %llu failed meanwhile\n", deaths,
              static_cast<unsigned long long>(world_->chat->acknowledged),
              static_cast<unsigned long long>(world_->chat->failed));
  EXPECT_GT(deaths, 8);
  EXPECT_GT(world_->chat->verify(), 100U);
  all_delivered();
  EXPECT_EQ(rows_in(how_.s0), 0);
  EXPECT_GT(rows_in(how_.s1), 0);
}

TEST_P(shard_mover_test, without_the_seal_the_comparison_finds_what_is_lost) {
  how_.moves.without_seal = true;
  begin();
  world_->chat->start(4, 200us);
  std::this_thread::sleep_for(300ms);
  ask(ShardMoveOrder::COPY, ShardMoveProgress::READY);
  ask(ShardMoveOrder::SEAL, ShardMoveProgress::SEALED);
  std::this_thread::sleep_for(100ms);  // written to the source, which nobody reads any more
  world_->decide(first, last, "s1");
  ask(ShardMoveOrder::OPEN, ShardMoveProgress::OPEN);
  world_->chat->stop();
  const auto wanted = world_->chat->acknowledged_places();
  auto target = *move_side::open(how_.s1);
  const auto rows = *target->between(*find_moved_table(3), moved, {}, {});
  std::set<std::pair<uint64_t, uint64_t>> there;
  for (const auto& row : rows) {
    there.emplace(static_cast<uint64_t>(sql::as_int(row[1])), static_cast<uint64_t>(sql::as_int(row[3])));
  }
  size_t lost = 0;
  for (const auto& [hi, mid] : wanted) {
    if (slot_of(hi) >= first && slot_of(hi) <= last && !there.contains({hi, mid})) ++lost;
  }
  // Mids that were given twice hide some of them.
  const auto kept = rows_in(how_.s0);
  EXPECT_TRUE(lost > 0 || kept > rows_in(how_.s1)) << "nothing was lost without it: what is it good for?";
}

TEST_P(shard_mover_test, tells_routing_what_it_serves_and_takes_shards_that_were_added) {
  begin();
  const auto served =
      world_->routing.wait_for_shard("storage-0", "s0", [](const auto& one) { return one.bytes() > 0; });
  ASSERT_TRUE(served);
  EXPECT_EQ(served->problem(), "");
  if (GetParam().source == "pg") {
    EXPECT_GT(served->term(), 0U);
  }
  routing::v1::ShardList list;
  auto& place = *list.add_shards();
  place.set_name("s2");
  place.set_dsn("host=/nowhere dbname=none");
  world_->routing.list("storage-0", list);
  const auto away =
      world_->routing.wait_for_shard("storage-0", "s2", [](const auto& one) { return !one.problem().empty(); });
  EXPECT_TRUE(away);
}

INSTANTIATE_TEST_SUITE_P(each, shard_mover_test,
                         ::testing::Values(layout{"pg_to_pg", "pg", "pg", false},
                                           layout{"pg_to_pg_at_one_node", "pg", "pg", true},
                                           layout{"sqlite_to_pg_at_one_node", "sqlite", "pg", true},
                                           layout{"sqlite_to_sqlite", "sqlite", "sqlite", false}),
                         [](const auto& of) { return of.param.name; });

}  // namespace
}  // namespace tern::storage

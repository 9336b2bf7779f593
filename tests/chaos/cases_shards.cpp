// Slots on their way between databases, under full traffic.
#include <thread>

#include "tests/chaos/cases.hpp"
#include "tests/cluster/shard_operations.hpp"

namespace tern::chaos {

using namespace std::chrono_literals;

namespace {

constexpr auto move_limit = 120s;

/// A third database, which ends with the case, and an operator.
struct growth {
  std::unique_ptr<testing::postgres_server> database;
  std::unique_ptr<testing::shard_operations> shards;
};

growth grow(field& at) {
  growth out;
  auto started = testing::postgres_server::start();
  at.expect(static_cast<bool>(started), "no third database");
  if (!started) return out;
  out.database = std::move(*started);
  std::vector<std::string> addresses;
  for (const auto& node : at.nodes.nodes()) {
    if (node.service == "routing") addresses.push_back(node.rpc_address);
  }
  out.shards = std::make_unique<testing::shard_operations>(addresses);
  out.shards->add("shard-2", out.database->dsn());
  return out;
}

void tell(field& at, testing::shard_operations& shards) {
  at.expect(shards.trouble().empty(), shards.trouble());
  double longest = 0;
  uint64_t rows = 0;
  for (const auto& each : shards.moves()) {
    at.expect(each.state() == "kept" || each.state() == "done", "a move is " + each.state() + ": " + each.error());
    longest = std::max(longest, static_cast<double>(each.progress().stalled_us()) / 1000);
    rows += each.progress().rows();
  }
  at.note(std::to_string(shards.moves().size()) + " moves, " + std::to_string(rows) + " rows copied");
  at.figure({"writes of the slots stood still", longest, "ms", 250, {}});
}

/// Two databases become three and two again; a move is rolled back, the others are finished.
void there_and_back(field& at) {
  const auto with = grow(at);
  if (!with.shards) return;
  auto& shards = *with.shards;
  shards.rebalance();
  at.expect(shards.wait_all({"kept"}, move_limit), "the moves do not end");
  const auto kept = shards.moves("kept");
  if (!kept.empty()) shards.roll_back(kept.front().move());
  at.expect(shards.wait_all({"kept"}, move_limit), "the way back does not end");
  tell(at, shards);
  for (const auto& each : shards.moves("kept")) shards.finish(each.move());
  at.expect(shards.wait_all({"done"}, move_limit), "the moves are not finished");
  // The database goes with the case: nothing may be left in it.
  for (const auto move : shards.drain("shard-2")) {
    at.expect(shards.wait_all({"kept", "done"}, move_limit), "the drain does not end");
    shards.finish(move);
  }
  at.expect(shards.wait_all({"done"}, move_limit), "the drain is not finished");
  at.expect(shards.slots("shard-2") == 0, "the drained shard has slots");
  tell(at, shards);
}

/// The node that serves the source dies while slots leave it.
void source_dies(field& at) {
  const auto with = grow(at);
  if (!with.shards) return;
  auto& shards = *with.shards;
  shards.move("shard-0", "shard-2", 0, (1U << 18U) - 1, 1U << 20U);
  shards.wait_some("copying", 10s);
  const auto node = shards.owner("shard-0");
  at.kill(node);
  std::this_thread::sleep_for(500ms);
  at.restart(node);
  at.expect(shards.wait_all({"kept"}, move_limit), "the move does not end");
  for (const auto& each : shards.moves("kept")) shards.roll_back(each.move());
  at.expect(shards.wait_all({"kept"}, move_limit), "the way back does not end");
  tell(at, shards);
  for (const auto& each : shards.moves("kept")) shards.finish(each.move());
  at.expect(shards.wait_all({"done"}, move_limit), "the way back is not finished");
}

}  // namespace

std::vector<chaos_case> shard_cases() {
  std::vector<chaos_case> all;
  all.push_back({.name = "slots to a third database and back",
                 .target = "0 dropped; writes stand still 250 ms at most; p99 +100 ms",
                 .strike = there_and_back,
                 .spoils = true,
                 .wait_max_ms = 500,
                 .p99_more_ms = 100});
  all.push_back({.name = "source's storage node killed while slots leave it",
                 .target = "0 dropped; delivery 6 s",
                 .strike = source_dies,
                 .spoils = true,
                 .wait_max_ms = 6000});
  return all;
}

}  // namespace tern::chaos

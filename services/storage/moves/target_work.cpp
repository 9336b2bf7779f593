// target_work: OPEN, at the node that serves the target.
#include "libs/log/log.hpp"
#include "services/storage/logic/batch_builder.hpp"
#include "services/storage/moves/mover_work.hpp"

namespace tern::storage {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;
const log::logger logger{"storage"};

constexpr auto open_limit = 10s;

}  // namespace

void target_work::run() {
  const auto began = steady_clock::now();
  while (true) {
    ShardMoveOrder order;
    uint64_t given = 0;
    {
      const std::lock_guard guard(in_.mutex);
      if (in_.stopping) return;
      order = job_.order;
      given = job_.given;
    }
    const auto slot = in_.shards->find(order.target());
    const uint64_t epoch = slot ? slot->port->open_epoch() : 0;
    if (epoch != 0) {
      const auto done = open(order, *slot, epoch);
      const bool again = !done && (done.code() == errc::unavailable || done.code() == errc::deadline ||
                                   done.code() == errc::stale_epoch || done.code() == errc::database);
      if (!again) {
        ShardMoveProgress out;
        out.set_move(order.move());
        out.set_state(done ? ShardMoveProgress::OPEN : ShardMoveProgress::FAILED);
        if (!done) out.set_error(done.error().detail);
        {
          const std::lock_guard guard(in_.mutex);
          job_.told = given == job_.given;
        }
        in_.tell(out);
        return;
      }
    }
    if (steady_clock::now() - began > in_.how.patience) return;
    std::unique_lock guard(in_.mutex);
    if (in_.stopping) return;
    if (given == job_.given) in_.wait(guard, 50ms);
  }
}

/// In the writer's turn: its next batch has higher entry numbers, and the dispatcher looks for what came.
result<void> target_work::open(const ShardMoveOrder& order, shard_slot& slot, uint64_t epoch) {
  if (in_.how.at_step) in_.how.at_step("open");
  const auto plan = plan_of(*in_.shards, order);
  auto made = move_side::open(plan.target_dsn);
  if (!made) return made.error();
  const std::shared_ptr<move_side> side = std::move(*made);
  const auto logged = side->logging();
  if (!logged) return logged.error();
  if (!*logged) {  // it was made with the import
    if (auto on = side->start_logging(); !on) return on;
  }
  const auto work = [side, plan, epoch](shard_counters& counters) {
    return range_move::open_target(plan, *side, epoch, [&](size_t count) {
      const uint64_t first = counters.next_entry;
      counters.next_entry += count;
      return first;
    });
  };
  const slot_range range{order.first(), order.last()};
  auto done = in_.follow(slot, epoch, door_range(range, slot_door::open), false, work, open_limit);
  if (!done) return done;
  if (in_.how.at_step) in_.how.at_step("opened");
  {
    const std::lock_guard guard(in_.mutex);
    in_.imports[slot.name()].erase(static_cast<int64_t>(order.move()));
  }
  in_.set_door(slot, epoch, range, slot_door::open);
  logger.info("range is served", {{"move", order.move()}, {"shard", slot.name()}, {"from", order.source()}});
  return {};
}

}  // namespace tern::storage

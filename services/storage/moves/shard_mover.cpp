// shard_movers: orders, their threads, and the look at what other nodes' movers do to the shards served here.
#include "services/storage/moves/shard_mover.hpp"

#include <vector>

#include "libs/log/log.hpp"
#include "services/storage/moves/mover_work.hpp"

namespace tern::storage {
namespace {

const log::logger logger{"storage"};
constexpr size_t jobs_remembered = 256;

}  // namespace

slot_door_range door_range(slot_range range, slot_door door) {
  return {static_cast<slot_type>(range.first), static_cast<slot_type>(range.last), door};
}

std::string dsn_of(const shard_slots& shards, const std::string& name, const std::string& ordered) {
  const auto slot = shards.find(name);
  return slot ? slot->store->dsn() : ordered;
}

move_plan plan_of(const shard_slots& shards, const ShardMoveOrder& order) {
  return {static_cast<int64_t>(order.move()),
          {order.first(), order.last()},
          dsn_of(shards, order.source(), order.source_dsn()),
          dsn_of(shards, order.target(), order.target_dsn()),
          static_cast<int64_t>(order.back_of()),
          static_cast<int64_t>(order.epoch())};
}

// ---- what movers share -------------------------------------------------------------------------------------------

bool shard_movers::inside::has_left(const std::string& source, slot_range range, uint64_t epoch) const {
  const auto* now = map->storage.find(static_cast<slot_type>(range.first));
  return now != nullptr && now->owner != source && now->epoch > epoch;
}

bool shard_movers::inside::is_worked_on(uint64_t move) {
  const std::lock_guard guard(mutex);
  const auto at = jobs.find({move, false});
  return at != jobs.end() && at->second.running;
}

void shard_movers::inside::refuse(shard_slot& slot, std::vector<answer>& refused) const {
  if (refused.empty()) return;
  slot.service_metrics->operations.observe(refused, time.now());
  send_answers(refused);
}

bool shard_movers::inside::set_door(shard_slot& slot, uint64_t epoch, slot_range range, slot_door door) const {
  std::vector<answer> refused;
  const bool set = slot.port->set_door(epoch, door_range(range, door), refused);
  refuse(slot, refused);
  return set;
}

result<void> shard_movers::inside::follow(shard_slot& slot, uint64_t epoch, slot_door_range change,
                                          bool behind_writes, writer_task::work_function work,
                                          std::chrono::milliseconds limit) {
  struct outcome {
    std::mutex mutex;
    std::condition_variable there;
    std::optional<result<void>> done;
  };
  const auto out = std::make_shared<outcome>();
  const auto told = [out](const result<void>& done) {
    const std::lock_guard guard(out->mutex);
    out->done = done;
    out->there.notify_all();
  };
  const auto task = std::make_shared<writer_task>(change, behind_writes, std::move(work), told);
  if (!slot.port->submit(epoch, task)) return error{errc::unavailable, "the shard is not served"};
  std::unique_lock guard(out->mutex);
  if (out->there.wait_for(guard, limit, [&] { return out->done.has_value(); })) return *out->done;
  task->give_up();
  return error{errc::deadline, "the shard's writer did not come to it in time"};
}

// ---- orders ------------------------------------------------------------------------------------------------------

void shard_movers::inside::run(mover_job& job, bool target) {
  while (true) {
    uint64_t given = 0;
    {
      const std::lock_guard guard(mutex);
      given = job.given;
    }
    bool died = false;
    try {
      if (target) {
        target_work(*this, job).run();
      } else {
        source_work(*this, job).run();
      }
    } catch (const std::exception& thrown) {
      died = true;
      logger.error("mover ended", {{"move", job.order.move()}, {"why", thrown.what()}});
    }
    const std::lock_guard guard(mutex);
    if (!died && !stopping && job.given != given) continue;
    job.running = false;
    changed.notify_all();
    return;
  }
}

shard_movers::shard_movers(std::shared_ptr<const shard_slots> shards, const clock& time, report tell,
                           mover_options how)
    : inside_(std::make_shared<inside>(std::move(shards), time, std::move(tell), std::move(how))) {
  inside_->watching = std::thread([in = inside_] { in->watch(); });
}

shard_movers::~shard_movers() { stop(); }

void shard_movers::order(const routing::v1::ShardMoveOrder& what) {
  const std::lock_guard guard(inside_->mutex);
  if (inside_->stopping || what.first() > what.last() || what.last() >= slot_count) return;
  auto& jobs = inside_->jobs;
  const bool target = what.step() == ShardMoveOrder::OPEN;
  for (auto at = jobs.begin(); jobs.size() > jobs_remembered && at != jobs.end();) {
    if (!at->second.running && at->second.thread.joinable()) at->second.thread.join();
    at = at->second.running ? std::next(at) : jobs.erase(at);
  }
  auto& job = jobs[{what.move(), target}];
  const bool same = job.given != 0 && job.order.SerializeAsString() == what.SerializeAsString();
  if (same && job.running && !job.told) return;
  // A step that failed may be tried again after another one.
  if (job.answer && job.answer->state() == ShardMoveProgress::FAILED && job.order.step() != what.step())
    job.answer.reset();
  job.order = what;
  job.told = false;
  ++job.given;
  inside_->changed.notify_all();
  if (job.running) return;
  if (job.thread.joinable()) job.thread.join();  // it has ended
  job.running = true;
  job.thread = std::thread([in = inside_, &job, target] { in->run(job, target); });
}

void shard_movers::map_changed(const placement::snapshot_ptr& map) {
  const std::lock_guard guard(inside_->mutex);
  if (map->version < inside_->map->version) return;
  inside_->map = map;
  inside_->changed.notify_all();
}

void shard_movers::stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard guard(inside_->mutex);
    inside_->stopping = true;
    inside_->changed.notify_all();
    threads.push_back(std::move(inside_->watching));
    for (auto& [move, job] : inside_->jobs) threads.push_back(std::move(job.thread));
  }
  for (auto& one : threads) {
    if (one.joinable()) one.join();
  }
}

// ---- imports -----------------------------------------------------------------------------------------------------

/// The node of the source writes IMPORT into the target's database; the target's node finds it there, keeps requests
/// of the range waiting from then on, and says so (`seen`). Nothing is sealed before.
void shard_movers::inside::watch() {
  std::map<std::string, std::unique_ptr<move_side>> sides;
  while (true) {
    const auto all = shards->all();
    for (const auto& [name, slot] : *all) {
      if (slot->store->dsn() != "memory:") look(*slot, sides[name]);
    }
    std::unique_lock guard(mutex);
    if (stopping) return;
    wait(guard, how.look_every);
    if (stopping) return;
  }
}

void shard_movers::inside::look(shard_slot& slot, std::unique_ptr<move_side>& side) {
  const uint64_t epoch = slot.port->open_epoch();
  if (epoch == 0) {
    side.reset();
    return;
  }
  if (!side) {
    auto made = move_side::open(slot.store->dsn());
    if (!made) return;
    side = std::move(*made);
  }
  const auto rows = side->ranges();
  if (!rows) {
    side.reset();
    return;
  }
  std::set<int64_t> present;
  for (const auto& row : *rows) {
    if (row.state == slot_state::importing) {
      present.insert(row.move);
      close_import(slot, epoch, row, *side);
    } else if (row.state == slot_state::sealed && !is_worked_on(static_cast<uint64_t>(row.move))) {
      leave_late(slot, epoch, row);
    }
  }
  forget_imports(slot, epoch, present, *rows);
}

void shard_movers::inside::close_import(shard_slot& slot, uint64_t epoch, const range_row& row, move_side& side) {
  bool known = false;
  {
    const std::lock_guard guard(mutex);
    known = !imports[slot.name()].emplace(row.move, row.range).second;
  }
  if ((known && row.seen) || !set_door(slot, epoch, row.range, slot_door::wait)) return;
  if (row.seen) return;
  auto told = side.transact(epoch, [&] { return side.mark_seen(row); });
  if (!told) logger.warn("import is not confirmed", {{"shard", slot.name()}, {"why", told.error().detail}});
}

/// An import that was given up: its slots are what they were.
void shard_movers::inside::forget_imports(shard_slot& slot, uint64_t epoch, const std::set<int64_t>& present,
                                          const std::vector<range_row>& rows) {
  std::vector<slot_range> over;
  {
    const std::lock_guard guard(mutex);
    auto& known = imports[slot.name()];
    for (auto at = known.begin(); at != known.end();) {
      if (present.contains(at->first)) {
        ++at;
        continue;
      }
      over.push_back(at->second);
      at = known.erase(at);
    }
  }
  for (const auto& range : over) {
    auto door = slot_door::open;
    bool others = false;
    for (const auto& row : rows) {
      if (row.range.first > range.last || row.range.last < range.first) continue;
      if (row.state == slot_state::moved) {
        door = slot_door::gone;
      } else {
        others = true;  // whoever works on it knows better
      }
    }
    if (!others) set_door(slot, epoch, range, door);
  }
}

/// The node that sealed the range has died before it heard of the decision.
void shard_movers::inside::leave_late(shard_slot& slot, uint64_t epoch, const range_row& row) {
  {
    const std::lock_guard guard(mutex);
    if (!has_left(slot.name(), row.range, static_cast<uint64_t>(row.epoch))) return;
  }
  set_door(slot, epoch, row.range, slot_door::gone);
  range_move late({row.move, row.range, slot.store->dsn(), {}, 0, row.epoch}, {}, epoch, [this] { return ended(); });
  if (auto done = late.leave(); !done) {
    logger.warn("moved range is not left", {{"shard", slot.name()}, {"why", done.error().detail}});
  }
}

}  // namespace tern::storage

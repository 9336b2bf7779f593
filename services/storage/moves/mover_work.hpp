// What movers share, and the work of one order (internal to shard_movers).
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "services/storage/moves/range_move.hpp"
#include "services/storage/moves/shard_mover.hpp"

namespace tern::storage {

using routing::v1::ShardMoveOrder;
using routing::v1::ShardMoveProgress;

/// One side of one move at this node. Its thread works on the newest order and ends when nothing is left to do.
struct mover_job {
  // Under the mutex of shard_movers::inside:
  ShardMoveOrder order;
  uint64_t given = 0;  // orders so far
  bool running = false;
  bool told = false;                        // what has come of the order, for good
  std::optional<ShardMoveProgress> answer;  // to `answered`, while the shard's epoch is `answered_epoch`
  ShardMoveOrder answered;
  uint64_t answered_epoch = 0;
  std::thread thread;
};

struct shard_movers::inside {
  inside(std::shared_ptr<const shard_slots> all, const clock& used, report told, mover_options options)
      : shards(std::move(all)), time(used), tell(std::move(told)), how(std::move(options)) {}

  const std::shared_ptr<const shard_slots> shards;
  const clock& time;
  const report tell;
  const mover_options how;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  placement::snapshot_ptr map = std::make_shared<const placement::snapshot>();
  std::map<std::pair<uint64_t, bool>, mover_job> jobs;           // by move; true: at the target
  std::map<std::string, std::map<int64_t, slot_range>> imports;  // whose doors were closed here; by shard and move
  std::thread watching;

  bool ended() {
    const std::lock_guard guard(mutex);
    return stopping;
  }
  /// Waits so long, or until an order, the map or the end comes.
  void wait(std::unique_lock<std::mutex>& guard, std::chrono::milliseconds so_long) {
    changed.wait_for(guard, so_long);
  }
  /// Does the storage map say that the range has left the shard `source` since `epoch`? Under the mutex.
  bool has_left(const std::string& source, slot_range range, uint64_t epoch) const;

  void run(mover_job& job, bool target);
  void watch();
  void look(shard_slot& slot, std::unique_ptr<move_side>& side);
  void close_import(shard_slot& slot, uint64_t epoch, const range_row& row, move_side& side);
  void forget_imports(shard_slot& slot, uint64_t epoch, const std::set<int64_t>& present,
                      const std::vector<range_row>& rows);
  void leave_late(shard_slot& slot, uint64_t epoch, const range_row& row);
  bool is_worked_on(uint64_t move);

  /// What a port answers.
  void refuse(shard_slot& slot, std::vector<answer>& refused) const;
  bool set_door(shard_slot& slot, uint64_t epoch, slot_range range, slot_door door) const;
  /// Has the writer and the dispatcher of the shard follow the change; waits for it at most so long.
  result<void> follow(shard_slot& slot, uint64_t epoch, slot_door_range change, bool behind_writes,
                      writer_task::work_function work, std::chrono::milliseconds limit);
};

slot_door_range door_range(slot_range range, slot_door door);

/// The side of the source: from COPY to SEALED and what follows the decision. Used by the job's thread.
class source_work {
 public:
  source_work(shard_movers::inside& in, mover_job& job) : in_(in), job_(job) {}
  void run();

 private:
  /// After a piece of work: go on at once, after pause_ (or an order, or a map), or not at all.
  enum class next : uint8_t { again, wait, done };
  bool serves(const ShardMoveOrder& order);
  std::optional<ShardMoveProgress> answered(const ShardMoveOrder& order);
  next step(const ShardMoveOrder& order);
  std::optional<next> begin(const ShardMoveOrder& order);
  next forward(const ShardMoveOrder& order);
  next copy(const ShardMoveOrder& order);
  next try_seal(const ShardMoveOrder& order);
  result<void> close_and_hand_over();
  next now_sealed(const ShardMoveOrder& order);
  next sealed(const ShardMoveOrder& order);
  next left(const ShardMoveOrder& order);
  next abort(const ShardMoveOrder& order);
  next finish(const ShardMoveOrder& order);
  next failed(const error& why, const ShardMoveOrder& order);
  void unseal();
  void open_door();
  void follow(slot_door door);
  void say(ShardMoveProgress::State state, const std::string& error = {});
  void answer(ShardMoveProgress::State state, const ShardMoveOrder& order, const std::string& error = {});
  void at(const char* step) const {
    if (in_.how.at_step) in_.how.at_step(step);
  }
  static std::chrono::milliseconds since(std::chrono::steady_clock::time_point then) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - then);
  }

  shard_movers::inside& in_;
  mover_job& job_;
  std::shared_ptr<shard_slot> slot_;
  uint64_t epoch_ = 0;  // of the shard's writer
  slot_range range_;
  uint64_t move_ = 0;
  uint64_t given_ = 0;  // the order that is worked on
  std::chrono::milliseconds pause_{0};
  std::chrono::steady_clock::time_point served_wanted_{};
  std::unique_ptr<range_move> range_move_;
  bool begun_ = false;  // range_move_ is
  int refusals_ = 0;    // of the database, in a row
  int seal_attempts_ = 0;
  bool sealed_here_ = false;  // or may be, and nobody was told
  bool reported_ = false;     // SEALED
  std::optional<std::chrono::steady_clock::time_point> closed_at_, limit_at_;
  uint64_t stalled_us_ = 0;
  // What was told and counted:
  std::chrono::steady_clock::time_point told_at_{};
  ShardMoveProgress::State told_ = ShardMoveProgress::NONE;
  uint64_t rows_told_ = 0, rows_counted_ = 0, bytes_counted_ = 0;
  double rate_ = 0;
};

/// The side of the target: OPEN.
class target_work {
 public:
  target_work(shard_movers::inside& in, mover_job& job) : in_(in), job_(job) {}
  void run();

 private:
  result<void> open(const ShardMoveOrder& order, shard_slot& slot, uint64_t epoch);

  shard_movers::inside& in_;
  mover_job& job_;
};

/// The database of a shard: as this node is configured, else as the order says (without a password).
std::string dsn_of(const shard_slots& shards, const std::string& name, const std::string& ordered);
move_plan plan_of(const shard_slots& shards, const ShardMoveOrder& order);

}  // namespace tern::storage

// What a mover has done by the writer of its shard, between two batches.
#pragma once

#include <atomic>
#include <functional>
#include <utility>

#include "libs/base/result.hpp"
#include "services/storage/moves/slot_doors.hpp"

namespace tern::storage {

struct shard_counters;

/// Dropped without an answer (the writer ended) it is answered with `unavailable`.
class writer_task {
 public:
  using work_function = std::function<result<void>(shard_counters&)>;
  using end_function = std::function<void(const result<void>&)>;
  /// `change`: what the shard's dispatcher is told afterwards. `behind_writes`: only when all writes of the range
  /// that have come are committed and answered. `work` may be empty. `then` is called once, on any thread, when the
  /// dispatcher knows the change.
  writer_task(slot_door_range what, bool behind, work_function work, end_function then)
      : change(what), behind_writes(behind), work_(std::move(work)), then_(std::move(then)) {}
  ~writer_task() { end(error{errc::unavailable, "the shard's writer has ended"}); }
  writer_task(const writer_task&) = delete;
  writer_task& operator=(const writer_task&) = delete;

  result<void> work(shard_counters& counters) const { return work_ ? work_(counters) : result<void>{}; }
  void end(const result<void>& how) {
    if (const auto then = std::exchange(then_, nullptr)) then(how);
  }

  /// Should it not have begun: it is dropped.
  void give_up() noexcept { given_up_ = true; }
  bool given_up() const noexcept { return given_up_; }

  const slot_door_range change;
  const bool behind_writes;

 private:
  const work_function work_;
  end_function then_;
  std::atomic<bool> given_up_{false};
};

}  // namespace tern::storage

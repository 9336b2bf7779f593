// The door of a shard: decides for each request whether this node serves it now, and hands it on in order.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/clock.hpp"
#include "services/storage/logic/write_request.hpp"
#include "services/storage/logic/writer_task.hpp"

namespace tern::storage {

struct port_options {
  size_t writes_most = 16'384;  // unanswered writes; beyond: overload
  size_t parked_most = 16'384;  // requests for an epoch that has not begun here
  std::chrono::milliseconds request_timeout{1500};
};

/// Thread-safe; lives as long as the service, over all epochs of the shard.
///
/// A request of an epoch that has not begun here yet (the caller's map is newer, or the lease is being renewed)
/// waits; it is not refused, because a refusal between two accepted requests would let the second overtake the first.
/// One of an earlier epoch, or of an epoch that has ended here, is answered wrong_owner for ever.
///
/// While a range of slots moves to another shard its requests wait, too; the others go on. When it has gone they wait
/// a moment more, until those who asked have the new map, and are answered wrong_owner if they have not.
class shard_port {
 public:
  using write_function = std::function<void(std::vector<write_request>&&)>;
  using task_function = std::function<void(std::shared_ptr<writer_task>)>;
  /// Takes a read or login with its time of arrival and answers it. Never called with a lock held.
  using read_function =
      std::function<void(v1::StorageRequest&&, const std::shared_ptr<reply_sink>&, clock::time_point)>;

  shard_port(std::string shard, port_options how, const clock& time, read_function read);

  /// Requests of one stream, all for this shard, in order. Refusals are appended to `refused`: the caller sends them.
  void admit(std::vector<v1::StorageRequest>&& items, const std::shared_ptr<reply_sink>& from,
             std::vector<answer>& refused);
  /// A write made by this node itself (logins). False: not served now.
  bool admit_own(write_request item);
  /// A read that was handed on and whose door was found closed since: as if it came now.
  void admit_again(v1::StorageRequest&& item, const std::shared_ptr<reply_sink>& from, clock::time_point arrived,
                   std::vector<answer>& refused);

  /// This node owns the shard in `epoch`; `write` leads to its writer. What was parked for it follows first.
  /// With `doors_known` false nothing is handed on before know_doors(), unless the epoch's doors are known already.
  void open(uint64_t epoch, write_function write, std::vector<answer>& refused, task_function tasks = {},
            bool doors_known = true);
  /// This node does not serve `epoch` and earlier ones (any more).
  void close(uint64_t epoch, std::vector<answer>& refused);
  /// The writer of `epoch` has died and cannot be asked; until the next open() the streams of all requests are ended.
  void interrupt(uint64_t epoch);
  /// Which slots are served, as the shard's database said when it was acquired.
  void know_doors(uint64_t epoch, slot_doors doors, std::vector<answer>& refused);
  bool knows_doors(uint64_t epoch) const;
  /// From here on. False: `epoch` is not the one served.
  bool set_door(uint64_t epoch, slot_door_range change, std::vector<answer>& refused);
  slot_doors doors() const;
  /// What is to become of a request that was handed on.
  slot_door door_of(const v1::StorageRequest& message) const;
  /// To the writer of `epoch`, behind the writes that were handed on. False: it is not served now.
  bool submit(uint64_t epoch, std::shared_ptr<writer_task> task);
  /// The epoch that is served with its doors known; 0: none.
  uint64_t open_epoch() const;
  /// Has `epoch` not ended here yet?
  bool may_open(uint64_t epoch) const;
  /// The lease cannot be renewed: requests wait until it is, or time runs out (unavailable).
  void suspend(bool suspended, std::vector<answer>& refused);
  /// Answers parked requests that waited too long, and with each what waits of its stream behind it: nothing of a
  /// stream overtakes what was refused. Requests of slots that had gone at the last call already: wrong_owner.
  void expire(std::vector<answer>& refused);
  /// The stream `from` is gone, and nobody would hear what becomes of its parked requests: they are dropped. Who
  /// asked asks again on its next stream, or another owner does, and nothing of theirs may come in between.
  void forget(const std::shared_ptr<reply_sink>& from);

  /// The writer has answered so many of its writes.
  void answered(uint64_t epoch, size_t count);
  size_t waiting() const noexcept { return waiting_; }
  /// Does this node serve reads of `epoch` at this moment?
  bool serves(uint64_t epoch) const noexcept { return serving_ == epoch && epoch != 0; }
  /// Does it serve any epoch?
  bool serving() const noexcept { return serving_ != 0; }
  const std::string& shard() const noexcept { return shard_; }

 private:
  struct parked {
    v1::StorageRequest message;  // unless it is `own`
    std::shared_ptr<reply_sink> from;
    clock::time_point arrived;
    std::optional<write_request> own = {};
    bool seen_gone = false;
    const v1::StorageRequest& asked() const { return own ? own->message : message; }
  };
  struct admitted {
    std::vector<write_request> writes;
    std::vector<parked> reads;
    std::vector<std::shared_ptr<reply_sink>> cut;
  };
  void take(parked&& one, admitted& in, std::vector<answer>& refused);
  void park(parked&& one, std::vector<answer>& refused);
  slot_door door_at(const v1::StorageRequest& message) const;
  bool is_gone(const parked& one) const;
  answer refuse_parked(parked& one, errc code) const;
  void unpark(admitted& in, std::vector<answer>& refused);
  void hand_on(admitted& in);
  /// What must not be done under the lock.
  void finish(admitted& in);
  void publish();

  const std::string shard_;
  const port_options how_;
  const clock& time_;
  const read_function read_;
  mutable std::mutex mutex_;
  uint64_t epoch_ = 0;  // the newest that began here
  uint64_t ended_ = 0;  // this one and all before are over here
  bool suspended_ = false;
  bool broken_ = false;
  bool doors_known_ = false;  // of epoch_
  slot_doors doors_;
  std::pair<uint64_t, slot_doors> early_{0, {}};  // of an epoch that has not begun
  write_function write_;
  task_function tasks_;
  std::deque<parked> parked_;
  std::atomic<size_t> waiting_{0};
  std::atomic<uint64_t> serving_{0};
};

/// The error answer to a request that never became a write.
answer refuse(const v1::StorageRequest& message, const std::shared_ptr<reply_sink>& from, errc code,
              clock::time_point arrived);

}  // namespace tern::storage

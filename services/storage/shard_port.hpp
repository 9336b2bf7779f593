// The door of a shard: decides for each request whether this node serves it now, and hands it on in order.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "libs/base/clock.hpp"
#include "services/storage/logic/write_request.hpp"

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
class shard_port {
 public:
  using write_function = std::function<void(std::vector<write_request>&&)>;
  /// Takes a read or login with its time of arrival and answers it. Never called with a lock held.
  using read_function =
      std::function<void(v1::StorageRequest&&, const std::shared_ptr<reply_sink>&, clock::time_point)>;

  shard_port(std::string shard, port_options how, const clock& time, read_function read);

  /// Requests of one stream, all for this shard, in order. Refusals are appended to `refused`: the caller sends them.
  void admit(std::vector<v1::StorageRequest>&& items, const std::shared_ptr<reply_sink>& from,
             std::vector<answer>& refused);
  /// A write made by this node itself (logins). False: not served now.
  bool admit_own(write_request item);

  /// This node owns the shard in `epoch`; `write` leads to its writer. What was parked for it follows first.
  void open(uint64_t epoch, write_function write, std::vector<answer>& refused);
  /// This node does not serve `epoch` and earlier ones (any more).
  void close(uint64_t epoch, std::vector<answer>& refused);
  /// The writer of `epoch` has died and cannot be asked; until the next open() the streams of all requests are ended.
  void interrupt(uint64_t epoch);
  /// Has `epoch` not ended here yet?
  bool may_open(uint64_t epoch) const;
  /// The lease cannot be renewed: requests wait until it is, or time runs out (unavailable).
  void suspend(bool suspended, std::vector<answer>& refused);
  /// Answers parked requests that waited too long, and with each what waits of its stream behind it: nothing of a
  /// stream overtakes what was refused.
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
    v1::StorageRequest message;
    std::shared_ptr<reply_sink> from;
    clock::time_point arrived;
  };
  struct admitted {
    std::vector<write_request> writes;
    std::vector<parked> reads;
    std::vector<std::shared_ptr<reply_sink>> cut;
  };
  void take(parked&& one, admitted& in, std::vector<answer>& refused);
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
  write_function write_;
  std::deque<parked> parked_;
  std::atomic<size_t> waiting_{0};
  std::atomic<uint64_t> serving_{0};
};

/// The error answer to a request that never became a write.
answer refuse(const v1::StorageRequest& message, const std::shared_ptr<reply_sink>& from, errc code,
              clock::time_point arrived);

}  // namespace tern::storage

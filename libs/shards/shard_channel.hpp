// All unanswered requests to one shard, in order. They are sent again, in that order, after a link broke, the shard
// got another owner or epoch, or storage answered wrong_owner.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/clock.hpp"
#include "libs/rpc/network.hpp"
#include "libs/shards/storage_port.hpp"

namespace tern::shards {

using storage_sink = rpc::sink<storage::v1::StorageRequest>;

/// Thread-safe. No lock is held while a sink or a callback runs, because in one process both may come back here.
///
/// After each change of stream or epoch one request goes alone; the rest follows when it was answered with anything
/// but wrong_owner. So an owner that learns its epoch a moment after us never takes a later write before an earlier
/// one.
class shard_channel {
 public:
  using time_point = clock::time_point;
  struct limits {
    std::chrono::milliseconds deadline{2000};
    size_t waiting = 65536;
    std::chrono::milliseconds retry{50};  // after wrong_owner or a full sink
  };

  /// Calls are numbered from `first_call`, so that channels sharing a stream never use the same number.
  shard_channel(std::string shard, uint64_t first_call, const clock& time, limits how)
      : shard_(std::move(shard)), time_(time), limits_(how), next_call_(first_call) {}

  void ask(storage::v1::StorageRequest request, patience how, storage_callback then);
  /// The first half of ask(): puts the request (about `slot`) behind the others, and calls nobody back. False: too
  /// many wait, nothing was taken. send() is the second half.
  bool enqueue(slot_type slot, storage::v1::StorageRequest& request, patience how, storage_callback& then);
  void send();
  /// Unanswered requests, in order, on their way to another shard's channel.
  class requests;
  /// Takes out what is about other slots than those that stay. What was sent may have been done.
  requests release(const std::function<bool(slot_type)>& stays);
  /// Puts them, whose slots are this shard's now, behind the others; send() has to follow.
  void adopt(requests all);
  /// Where the shard is served now; null: nowhere.
  void set_target(std::shared_ptr<storage_sink> out, uint64_t epoch);
  void on_reply(storage::v1::StorageReply& reply);
  /// Ends what is past its deadline and sends what had to wait. Called every few ten milliseconds.
  void sweep();
  /// Ends everything with `code`.
  void fail_all(errc code);
  size_t waiting() const;

 private:
  struct entry {
    uint64_t call = 0;
    slot_type slot = 0;
    storage::v1::StorageRequest request;
    storage_callback then;
    std::optional<time_point> deadline;
    bool sent = false;
    bool ended = false;
    bool doubt = false;  // sent to an owner that may have done it without an answer coming back
  };
  using lock = std::unique_lock<std::mutex>;

  void flush(lock& held);
  std::vector<storage::v1::StorageRequest> collect();
  void rewind(size_t index);
  size_t find(uint64_t call) const;
  storage_callback end(entry& one, storage_answer& into);
  void pop_ended();
  entry& append(entry fresh);

  const std::string shard_;
  const clock& time_;
  const limits limits_;
  mutable std::mutex mutex_;
  std::deque<entry> entries_;  // calls grow by one from front to back
  uint64_t next_call_;
  size_t next_ = 0;        // index of the first entry that is not sent
  size_t open_count_ = 0;  // sent, not ended
  std::shared_ptr<storage_sink> out_;
  uint64_t epoch_ = 0;
  uint64_t round_ = 0;   // changes with each target
  bool proven_ = false;  // the target has answered with its epoch
  bool flushing_ = false;
  time_point not_before_{};
};

class shard_channel::requests {
 public:
  bool empty() const noexcept { return entries_.empty(); }
  /// Only those whose slot is wanted; the rest stays here.
  requests take(const std::function<bool(slot_type)>& wanted);

 private:
  friend class shard_channel;
  std::deque<entry> entries_;
};

}  // namespace tern::shards

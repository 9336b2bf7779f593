// One direction of a local stream: a bounded queue and the rule that its handler is never entered twice at once.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "libs/rpc/erased.hpp"

namespace tern::rpc::detail {

/// Thread-safe. Whoever puts something in while nobody delivers delivers it, and what others put in meanwhile, in its
/// own thread and without a lock held. Life: made, open, shut, down (the handler's last call).
class mailbox {
 public:
  explicit mailbox(size_t bound) : bound_(bound) {}

  /// Deliveries begin: first `up` (may be empty), then the items that came before.
  void open(std::shared_ptr<receiver> handler, std::function<void()> up);
  bool push(google::protobuf::MessageLite& item);
  bool push_all(item_list& items);
  /// Before open(): items may come, but not yet be delivered; the list is made by the first receiver of the type.
  void prepare(std::unique_ptr<item_list> empty);
  /// Takes no more; what is queued is still delivered, then the handler gets down(). Idempotent.
  void shut();
  /// Drops what is queued and shuts; returns when no call is running or will come. Inside a call of this handler it
  /// returns at once, and that call is the last.
  void silence();

 private:
  bool accepts(size_t count) const;
  void deliver(std::unique_lock<std::mutex>& lock);
  bool deliver_next(std::unique_lock<std::mutex>& lock);

  const size_t bound_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::shared_ptr<receiver> handler_;
  std::function<void()> up_;
  std::unique_ptr<item_list> queue_;
  std::unique_ptr<item_list> spare_;
  bool opened_ = false;
  bool shut_ = false;
  bool finished_ = false;  // no call will come
  bool running_ = false;
  std::thread::id runner_;
};

}  // namespace tern::rpc::detail

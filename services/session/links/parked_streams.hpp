// What gateways and dispatchers sent for slots that are on their way here: they saw the new map first. It waits in
// its stream's handler until this node sees it, too, for a second at most.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace tern::session {

/// A handler of a stream. settle() looks at what waits again; called on the supervisor's thread.
class parking_stream {
 public:
  virtual ~parking_stream() = default;
  virtual void settle() = 0;
};

/// Thread-safe.
class parked_streams {
 public:
  void add(const std::shared_ptr<parking_stream>& stream) {
    const std::lock_guard held(mutex_);
    std::erase_if(streams_, [](const auto& one) { return one.expired(); });
    streams_.push_back(stream);
  }
  /// Items that wait in all streams; changed by the streams.
  std::atomic<size_t>& waiting() noexcept { return waiting_; }
  /// Of the supervisor: after a new map, and with each tick.
  void settle() {
    if (waiting_.load(std::memory_order_acquire) == 0) return;
    std::vector<std::shared_ptr<parking_stream>> all;
    {
      const std::lock_guard held(mutex_);
      for (const auto& one : streams_) {
        if (auto stream = one.lock()) all.push_back(std::move(stream));
      }
    }
    for (const auto& one : all) one->settle();
  }

 private:
  std::mutex mutex_;
  std::vector<std::weak_ptr<parking_stream>> streams_;
  std::atomic<size_t> waiting_{0};
};

}  // namespace tern::session

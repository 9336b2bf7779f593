// Streams with requests for slots that are on their way to this node: they wait a moment instead of being refused.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace tern::group {

/// Whoever asks has seen maps in which the range is ours; we see them too within this, or refuse.
inline constexpr std::chrono::milliseconds parked_most{1000};

/// Thread-safe.
class parking {
 public:
  class waiter {
   public:
    virtual ~waiter() = default;
    /// New maps, or time has passed. False: nothing waits any more.
    virtual bool look_again() = 0;
  };

  void add(std::weak_ptr<waiter> one) {
    const std::lock_guard held(mutex_);
    streams_.push_back(std::move(one));
    any_.store(true, std::memory_order_release);
  }
  bool any() const noexcept { return any_.load(std::memory_order_acquire); }
  void turn() {
    if (!any()) return;
    std::vector<std::weak_ptr<waiter>> now;
    {
      const std::lock_guard held(mutex_);
      now.swap(streams_);
      any_.store(false, std::memory_order_release);
    }
    for (auto& one : now) {
      if (const auto there = one.lock(); there && there->look_again()) add(std::move(one));
    }
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> any_{false};
  std::vector<std::weak_ptr<waiter>> streams_;
};

}  // namespace tern::group

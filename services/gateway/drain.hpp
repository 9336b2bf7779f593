// How far a drain is: written by the io threads, waited for by the main thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>

namespace tern::gateway {

/// Thread-safe.
class drain_progress {
 public:
  explicit drain_progress(std::function<size_t()> count_open) : open_(std::move(count_open)) {}

  /// Connections left, as the server counts them.
  size_t remaining() const { return open_(); }
  /// The last connection has gone.
  void finish() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
  }
  /// False when `limit` passed first.
  bool wait(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [this] { return done_; });
  }

 private:
  std::function<size_t()> open_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
};

}  // namespace tern::gateway

// A few threads behind a bounded queue, for work that blocks or burns CPU.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tern::storage {

/// Thread-safe. What is queued when it stops is not run.
class bounded_pool {
 public:
  /// `queue_most` counts what waits, not what runs.
  bounded_pool(size_t threads, size_t queue_most);
  ~bounded_pool();
  bounded_pool(const bounded_pool&) = delete;
  bounded_pool& operator=(const bounded_pool&) = delete;

  /// False when the queue is full or the pool has stopped: the work will not run.
  bool submit(std::function<void()> work);
  size_t waiting() const;
  /// Ends the threads after the work they are at. Idempotent.
  void stop();

 private:
  void run();

  const size_t queue_most_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tern::storage

// The reading side of a shard: a few threads, each with its own connection, behind a bounded queue.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "libs/base/clock.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// One piece of reading work.
struct read_job {
  clock::time_point submitted;
  clock::time_point deadline;
  /// Does the work and answers it: ok. unavailable or deadline: the database failed, nothing was answered; it is run
  /// again on a new connection until the deadline. Any other code: as ok.
  std::function<errc(reader_store&)> run;
  /// Answers it with an error; called at most once, and never after run returned ok.
  std::function<void(errc)> give_up;
};

struct reader_options {
  size_t threads = 2;
  size_t queue_most = 1024;
};

/// Thread-safe. Opens connections when they are first needed, and again after a failure.
class reader_pool {
 public:
  using open_function = std::function<result<std::unique_ptr<reader_store>>()>;
  /// `waited` is told how many seconds each job stood in the queue.
  reader_pool(reader_options how, const clock& time, open_function open, std::function<void(double)> waited = {});
  ~reader_pool();
  reader_pool(const reader_pool&) = delete;
  reader_pool& operator=(const reader_pool&) = delete;

  /// False when the queue is full or the pool has stopped; the job was not taken and must be answered by the caller.
  bool submit(read_job job);
  size_t waiting() const;
  /// Has each thread that is idle make its connection, as the first read would; failures are the first read's matter.
  void warm();
  struct connection_count {
    size_t busy = 0, idle = 0;
  };
  /// A job on its way may be seen in neither or both.
  connection_count connections() const noexcept {
    const size_t busy = busy_, open = open_count_;
    return {busy, open > busy ? open - busy : 0};
  }
  uint64_t statements() const noexcept { return statements_; }
  uint64_t retries() const noexcept { return retries_; }
  /// Gives up what waits (unavailable) and ends the threads. Idempotent.
  void stop();

 private:
  void run();
  void warm(std::unique_ptr<reader_store>& store);
  void execute(std::unique_ptr<reader_store>& store, read_job& job);
  bool pause();

  reader_options how_;
  const clock& time_;
  open_function open_;
  std::function<void(double)> waited_;
  std::atomic<size_t> busy_{0}, open_count_{0};
  std::atomic<uint64_t> statements_{0};
  std::atomic<uint64_t> retries_{0};
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<read_job> queue_;
  uint64_t warmings_ = 0;  // asked for
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace tern::storage

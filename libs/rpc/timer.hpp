// A few delayed calls on one thread: reconnects and deadlines of links.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

namespace tern::rpc {

/// Thread-safe. Calls run one after the other on its thread, which starts with the first one; they must not block.
class timer {
 public:
  timer() = default;
  ~timer() { stop(); }
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;

  /// Dropped when the timer has been stopped.
  void after(std::chrono::milliseconds delay, std::function<void()> call);
  /// Drops what is due later and waits for a running call, unless it is called inside one. Idempotent.
  void stop();

 private:
  using time_point = std::chrono::steady_clock::time_point;
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<time_point, std::function<void()>> due_;
  std::thread thread_;
  bool stopped_ = false;
};

}  // namespace tern::rpc

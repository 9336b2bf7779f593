// Spacing of the writes of busy streams: what comes shortly after a write waits a moment for more to go with it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tern::rpc::detail {

/// What waits for the end of an interval.
class paced {
 public:
  virtual ~paced() = default;
  /// On the pacer's thread, with no lock of it held.
  virtual void go() = 0;
};

/// Thread-safe.
class pacer {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  virtual ~pacer() = default;
  virtual time_point now() const = 0;
  /// Writes of one stream closer than this are put together.
  virtual std::chrono::microseconds interval() const = 0;
  /// Calls `who` once, within the interval.
  virtual void later(std::weak_ptr<paced> who) = 0;
};

/// A thread that wakes at the ends of intervals, all streams of the process at once, and sleeps while nothing waits.
/// A small write costs gRPC some 25 µs at either end, whatever is in it: an interval without one more is worth the
/// wait as soon as there are thousands of items per second.
class interval_pacer final : public pacer {
 public:
  /// 0: nothing waits.
  explicit interval_pacer(std::chrono::microseconds interval) : interval_(interval) {}
  ~interval_pacer() override { stop(); }

  time_point now() const override { return std::chrono::steady_clock::now(); }
  std::chrono::microseconds interval() const override { return interval_; }
  void later(std::weak_ptr<paced> who) override;
  /// Idempotent. Who waits is called no more.
  void stop();

 private:
  void run();

  const std::chrono::microseconds interval_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::weak_ptr<paced>> waiting_;
  bool idle_ = true;  // the thread sleeps until somebody waits
  bool stopped_ = false;
  std::thread thread_;  // made with the first who waits
};

}  // namespace tern::rpc::detail

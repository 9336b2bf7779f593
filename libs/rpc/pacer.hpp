// Spacing of the writes of busy streams: what comes shortly after a write waits a moment for more to go with it.
#pragma once

#include <algorithm>
#include <atomic>
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

/// How long an interval is. Where processors are short, a thread that asked to be woken runs late, and a longer
/// interval then costs less than the waiting for a processor that the saved writes take from everybody. One writer;
/// interval() from any thread.
class pace_control {
 public:
  using microseconds = std::chrono::microseconds;
  pace_control(microseconds least, microseconds most) : least_(least), most_(std::max(least, most)), now_(least) {}

  microseconds interval() const { return now_.load(std::memory_order_relaxed); }
  /// The thread ran so much later than it had asked for.
  void woke(microseconds late);

 private:
  const microseconds least_;
  const microseconds most_;
  double late_ = 0;  // µs, on average over the last some thirty times
  std::atomic<microseconds> now_;
};

/// A thread that wakes at the ends of intervals, all streams of the process at once, and sleeps while nothing waits.
/// A small write costs gRPC some 25 µs at either end, whatever is in it: an interval without one more is worth the
/// wait as soon as there are thousands of items per second.
class interval_pacer final : public pacer {
 public:
  /// Intervals of `least` with processors to spare, up to `most` without.
  explicit interval_pacer(std::chrono::microseconds least, std::chrono::microseconds most = {})
      : control_(least, most) {}
  ~interval_pacer() override { stop(); }

  time_point now() const override { return std::chrono::steady_clock::now(); }
  std::chrono::microseconds interval() const override { return control_.interval(); }
  void later(std::weak_ptr<paced> who) override;
  /// Idempotent. Who waits is called no more.
  void stop();

 private:
  void run();
  void sleep_to_end();

  pace_control control_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::weak_ptr<paced>> waiting_;
  bool idle_ = true;  // the thread sleeps until somebody waits
  bool stopped_ = false;
  std::thread thread_;  // made with the first who waits
};

}  // namespace tern::rpc::detail

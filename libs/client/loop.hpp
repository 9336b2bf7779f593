// A single-threaded epoll loop for load generators and test clients: thousands of sockets, timers, nothing else.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <queue>
#include <vector>

namespace tern::client {

/// Gets readiness events of one descriptor. On the loop's thread.
class io_target {
 public:
  virtual ~io_target() = default;
  /// `events` as of epoll(7).
  virtual void on_ready(uint32_t events) = 0;
};

/// Not thread-safe except post() and stop(). Everything else on the thread that calls run().
class loop {
 public:
  using time_point = std::chrono::steady_clock::time_point;

  loop();
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  /// Watches `fd` (edge-triggered, both directions) until remove(). The target must outlive the registration.
  void add(int fd, io_target& target);
  void remove(int fd) noexcept;

  /// Runs `work` once at or after `when`.
  void at(time_point when, std::function<void()> work);
  void after(std::chrono::nanoseconds delay, std::function<void()> work);
  /// Runs `work` at the end of the current round of events (or soon, when called from outside run()). Thread-safe.
  void post(std::function<void()> work);
  /// Runs `work` when the current round of events has been handled; for coalesced writes. Loop's thread only.
  void at_round_end(std::function<void()> work) { round_end_.push_back(std::move(work)); }

  /// Timers are met within microseconds: the loop polls when one is about to be due. For generators, whose own
  /// lateness would otherwise be measured with what they measure.
  void be_punctual();

  /// Handles events until stop().
  void run();
  /// Handles events until `done` says so or `limit` has passed; true if done.
  bool run_until(const std::function<bool()>& done, std::chrono::milliseconds limit);
  void stop();

  /// The time of the current round; cheaper than asking the clock for every event.
  time_point now() const noexcept { return now_; }

 private:
  struct timer {
    time_point when;
    uint64_t order;
    std::function<void()> work;
    bool operator>(const timer& other) const { return when != other.when ? when > other.when : order > other.order; }
  };

  void round(std::chrono::milliseconds most);
  void run_timers();
  void run_posted();

  int epoll_ = -1;
  int wake_ = -1;
  bool stopped_ = false;
  bool punctual_ = false;
  time_point now_ = std::chrono::steady_clock::now();
  uint64_t next_order_ = 0;
  std::priority_queue<timer, std::vector<timer>, std::greater<>> timers_;
  std::vector<std::function<void()>> round_end_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
};

}  // namespace tern::client

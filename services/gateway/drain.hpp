// How a gateway gets rid of its clients without a rush: the pace, and how far it is.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "libs/base/clock.hpp"

namespace tern::gateway {

struct core;
class lane;

/// What the main thread waits for. Thread-safe.
class drain_progress {
 public:
  /// The drain is to be over within `limit`.
  explicit drain_progress(std::chrono::milliseconds limit) : limit_(limit) {}

  std::chrono::milliseconds limit() const noexcept { return limit_; }
  /// The last connection has gone.
  void finish() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
  }
  /// False when the limit passed first.
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit_, [this] { return done_; });
  }

 private:
  const std::chrono::milliseconds limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
};

/// The pace of a drain: for `notice` clients may still come, while balancers learn that this gateway is not ready.
/// Then the listener is closed, and connections are closed at a steady rate: `least` per second, or more when that is
/// what it takes to be through after 0.7 of the time there is. After 0.85 of it the rest is closed at once. Pure.
class drain_pace {
 public:
  struct step {
    bool listens = true;  // the listener stays open
    size_t most = 0;      // connections to be closed now
    bool all = false;     // close what is left
  };

  drain_pace(clock::time_point now, std::chrono::milliseconds limit, std::chrono::milliseconds notice,
             uint64_t least);
  /// To be called each drain_step_length, or later; `open` connections are left.
  step next(clock::time_point now, size_t open);
  /// Connections per second; 0 before the first are closed.
  double rate() const noexcept { return rate_; }

 private:
  const clock::time_point closing_from_, over_, end_;
  const double least_;
  double rate_ = 0, carry_ = 0;
};

inline constexpr std::chrono::milliseconds drain_step_length{100};

/// Drives lanes and listener by a pace. Used by the supervisor.
class drainer {
 public:
  struct port {
    std::function<size_t()> open;         // connections, as the server counts them
    std::function<void(bool on)> listen;  // opens or closes the listener
  };

  drainer(core& shared, std::vector<std::shared_ptr<lane>> lanes, port to);

  /// Starts, or goes on by another limit.
  void begin(std::shared_ptr<drain_progress> progress);
  /// Who is still there stays, and others may come again.
  void cancel();
  /// To be called each drain_step_length after begin() until it is false: all are gone, or it was cancelled.
  bool step();

 private:
  void share(const drain_pace::step& now);

  core& core_;
  const std::vector<std::shared_ptr<lane>> lanes_;
  const port port_;
  std::shared_ptr<drain_progress> progress_;  // null: no drain
  std::unique_ptr<drain_pace> pace_;
  std::vector<double> carry_;  // what rounding leaves for a lane's next step
  bool listens_ = true;
};

}  // namespace tern::gateway

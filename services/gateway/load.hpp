// When a gateway refuses further commands for load: the work under way is bounded by what is done in a given time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace tern::gateway {

struct load_limits {
  uint64_t least = 2000;        // commands under way that are always let in
  uint64_t most = 50'000;       // and never more than these
  uint32_t target_ticks = 3;    // work for so long may wait for a moment
  uint32_t standing_ticks = 2;  // and for so long while refusals go on
};

/// Counts the commands of one io thread that are under way (sent to their owner and not confirmed) and how many are
/// done per tick. By Little's law what is under way, divided by that rate, is how long a new command would take:
/// above the target it is refused at once, so that those let in are answered in time whatever is offered. The rate is
/// the larger of a running mean and a slowly falling peak: a pause of the other side is no reason to refuse at once.
/// A queue is good for bursts; one that stands does nothing but make everybody wait (Nichols, Jacobson: Controlling
/// Queue Delay, 2012). So the target is lower from when refusals have gone on for half a second until they have
/// ceased. Not thread-safe.
class load_guard {
 public:
  explicit load_guard(const load_limits& limits) noexcept : limits_(limits), limit_(limits.least) {}

  bool admits() noexcept {
    if (under_way_ < limit_) return true;
    refused_ = true;
    return false;
  }
  void accepted() noexcept { ++under_way_; }
  /// Confirmed.
  void done(uint64_t count) noexcept {
    done_ += count;
    forgotten(count);
  }
  /// Their connection is gone: nobody waits for them any more.
  void forgotten(uint64_t count) noexcept { under_way_ -= std::min(under_way_, count); }

  void on_tick() noexcept {
    mean_ += (static_cast<double>(done_) - mean_) * mean_share;
    done_ = 0;
    peak_ = std::max(mean_, peak_ * peak_kept);
    note_refusals();
    const uint32_t ticks = standing_ ? std::min(limits_.standing_ticks, limits_.target_ticks) : limits_.target_ticks;
    limit_ = std::clamp(static_cast<uint64_t>(peak_ * ticks), limits_.least, std::max(limits_.least, limits_.most));
  }

  uint64_t under_way() const noexcept { return under_way_; }
  uint64_t limit() const noexcept { return limit_; }
  /// Refusals have gone on for a while.
  bool standing() const noexcept { return standing_; }

 private:
  void note_refusals() noexcept {
    if (std::exchange(refused_, false)) {
      pressed_ = std::min(pressed_ + 1, most_pressed);
    } else if (pressed_ > 0) {
      --pressed_;
    }
    if (pressed_ >= standing_from) standing_ = true;
    if (pressed_ == 0) standing_ = false;
  }

  static constexpr double mean_share = 0.2;     // of the newest tick: the mean is that of about the last half second
  static constexpr double peak_kept = 0.98;     // per tick: half of it is forgotten after 3.4 s
  static constexpr uint32_t standing_from = 5;  // more ticks with refusals than without: a standing queue
  static constexpr uint32_t most_pressed = 10;  // so many ticks without any end it

  load_limits limits_;
  uint64_t under_way_ = 0;
  uint64_t done_ = 0;  // in this tick
  uint64_t limit_;
  double mean_ = 0;  // done per tick
  double peak_ = 0;
  uint32_t pressed_ = 0;
  bool refused_ = false;  // in this tick
  bool standing_ = false;
};

}  // namespace tern::gateway

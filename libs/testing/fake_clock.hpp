// A clock that moves only when a test says so.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "libs/base/clock.hpp"

namespace tern::testing {

/// Thread-safe. Starts at an arbitrary monotonic time and at 2026-01-01 00:00:00 UTC; both move together.
class fake_clock final : public clock {
 public:
  time_point now() const override { return time_point{std::chrono::nanoseconds{monotonic_ns_.load()}}; }
  int64_t wall_ns() const override { return wall_ns_.load(); }

  void advance(std::chrono::nanoseconds by) {
    monotonic_ns_ += by.count();
    wall_ns_ += by.count();
  }
  /// The wall clock jumps (NTP step, operator's mistake); monotonic time does not.
  void jump_wall(std::chrono::nanoseconds by) { wall_ns_ += by.count(); }

 private:
  std::atomic<int64_t> monotonic_ns_{1'000'000'000'000};
  std::atomic<int64_t> wall_ns_{1'767'225'600'000'000'000};
};

}  // namespace tern::testing

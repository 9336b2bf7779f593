// A token bucket over coarse ticks; 8 bytes per connection.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tern::gateway {

/// `rate` tokens per second (10 ticks), at most `burst`. Rate 0 admits everything. Not thread-safe.
class token_bucket {
 public:
  static constexpr uint32_t ticks_per_second = 10;

  void reset(uint32_t tick, uint64_t burst) noexcept {
    tick_ = tick;
    tenths_ = clamp(burst * ticks_per_second);
  }
  /// Takes one token; false when there is none.
  bool take(uint32_t tick, uint64_t rate, uint64_t burst) noexcept {
    if (rate == 0) return true;
    tenths_ = left(tick, rate, burst);
    if (static_cast<int32_t>(tick - tick_) > 0) tick_ = tick;
    if (tenths_ < ticks_per_second) return false;
    tenths_ -= ticks_per_second;
    return true;
  }

  /// Tenths of a token there are at `tick`.
  uint32_t left(uint32_t tick, uint64_t rate, uint64_t burst) const noexcept {
    // Other io threads may be a tick behind.
    const uint64_t ticks = static_cast<int32_t>(tick - tick_) > 0 ? tick - tick_ : 0;
    return clamp(std::min<uint64_t>(tenths_ + ticks * rate, burst * ticks_per_second));
  }

 private:
  static uint32_t clamp(uint64_t value) noexcept {
    return static_cast<uint32_t>(std::min<uint64_t>(value, UINT32_MAX));
  }
  uint32_t tick_ = 0;
  uint32_t tenths_ = 0;
};

}  // namespace tern::gateway

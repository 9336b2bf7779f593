// The rate of commands of one account, over all its terminals.
#pragma once

#include <algorithm>
#include <cstdint>

#include "libs/base/clock.hpp"

namespace tern::session {

/// A token bucket that holds one second's worth and begins full. Not thread-safe: belongs to one actor.
class rate_limit {
 public:
  /// Takes one token; false when there is none. `per_second` 0 admits everything.
  bool take(clock::time_point now, uint64_t per_second) noexcept {
    if (per_second == 0) return true;
    const double most = static_cast<double>(per_second);
    if (tokens_ < 0) {
      tokens_ = most;
    } else {
      const std::chrono::duration<double> passed = now - last_;
      tokens_ = std::min(most, tokens_ + std::max(passed.count(), 0.0) * most);
    }
    last_ = now;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  /// Thousandths of tokens left now, for the account's next owner; negative: never used.
  int64_t left(clock::time_point now, uint64_t per_second) const noexcept {
    if (tokens_ < 0 || per_second == 0) return -1;
    const double most = static_cast<double>(per_second);
    const std::chrono::duration<double> passed = now - last_;
    return static_cast<int64_t>(1000 * std::min(most, tokens_ + std::max(passed.count(), 0.0) * most));
  }
  void go_on(clock::time_point now, int64_t left) noexcept {
    if (left < 0) return;
    tokens_ = static_cast<double>(left) / 1000;
    last_ = now;
  }

 private:
  double tokens_ = -1;  // negative: never used
  clock::time_point last_{};
};

}  // namespace tern::session

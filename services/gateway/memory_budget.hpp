// A bound on memory that many connections share.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace tern::gateway {

/// Thread-safe.
class memory_budget {
 public:
  explicit memory_budget(size_t limit) noexcept : limit_(limit) {}

  /// False, and nothing is taken, when it would be more than the limit.
  bool take(size_t bytes) noexcept {
    size_t used = used_.load(std::memory_order_relaxed);
    do {
      if (bytes > limit_ || used > limit_ - bytes) return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    return true;
  }
  void give_back(size_t bytes) noexcept { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  size_t used() const noexcept { return used_.load(std::memory_order_relaxed); }

 private:
  const size_t limit_;
  std::atomic<size_t> used_{0};
};

/// What one connection has of a budget; given back at the end. Not thread-safe.
class memory_share {
 public:
  explicit memory_share(memory_budget& of) noexcept : of_(of) {}
  ~memory_share() { of_.give_back(held_); }
  memory_share(const memory_share&) = delete;
  memory_share& operator=(const memory_share&) = delete;

  /// False, and nothing has changed, when there is no room for more. Less is always possible.
  bool resize(size_t bytes) noexcept {
    if (bytes > held_ && !of_.take(bytes - held_)) return false;
    if (bytes < held_) of_.give_back(held_ - bytes);
    held_ = bytes;
    return true;
  }
  size_t held() const noexcept { return held_; }

 private:
  memory_budget& of_;
  size_t held_ = 0;
};

}  // namespace tern::gateway

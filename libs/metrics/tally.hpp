// Counts that libraries keep for themselves, without a registry: relaxed atomics of the process, which whoever owns
// the registry reads at a scrape (libs/app/runtime_metrics.cpp). Header only, so that no library needs another.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace tern::metrics {

/// A number of the calling thread in [0, 8): threads that count the same do not share a cache line, mostly.
inline size_t thread_slot() noexcept {
  static std::atomic<size_t> next{0};
  static thread_local const size_t mine = next.fetch_add(1, std::memory_order_relaxed) % 8;
  return mine;
}

/// Grows only. Any thread may add and read.
class tally {
 public:
  void add(uint64_t amount = 1) noexcept { slots_[thread_slot()].value.fetch_add(amount, std::memory_order_relaxed); }
  uint64_t read() const noexcept {
    uint64_t sum = 0;
    for (const auto& one : slots_) sum += one.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(64) slot {
    std::atomic<uint64_t> value{0};
  };
  std::array<slot, 8> slots_;
};

/// A histogram over fixed upper bounds, the last of which is "more". For what is rare or sampled: not sharded.
template <size_t Bounds>
class distribution {
 public:
  explicit constexpr distribution(const std::array<double, Bounds>& bounds) : bounds_(bounds) {}

  /// `sum` is kept in billionths, so that it is an integer.
  void observe(double value) noexcept {
    size_t at = 0;
    while (at < Bounds && value > bounds_[at]) ++at;
    counts_[at].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(static_cast<uint64_t>(value < 0 ? 0 : value * 1e9), std::memory_order_relaxed);
  }
  const std::array<double, Bounds>& bounds() const noexcept { return bounds_; }
  uint64_t count(size_t bucket) const noexcept { return counts_[bucket].load(std::memory_order_relaxed); }
  double sum() const noexcept { return static_cast<double>(sum_.load(std::memory_order_relaxed)) / 1e9; }

 private:
  std::array<double, Bounds> bounds_;
  std::array<std::atomic<uint64_t>, Bounds + 1> counts_{};
  std::atomic<uint64_t> sum_{0};
};

inline constexpr std::array<double, 13> second_bounds{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
inline constexpr std::array<double, 7> depth_bounds{0, 1, 4, 16, 64, 256, 1024};

/// Seconds.
class time_tally : public distribution<second_bounds.size()> {
 public:
  constexpr time_tally() : distribution(second_bounds) {}
  void observe_since(std::chrono::steady_clock::time_point start) noexcept {
    observe(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
};

/// How many wait before one.
class depth_tally : public distribution<depth_bounds.size()> {
 public:
  constexpr depth_tally() : distribution(depth_bounds) {}
};

}  // namespace tern::metrics

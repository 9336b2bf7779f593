// The only source of chance of a simulated run: what it gives depends on the seed alone, on every machine.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace tern::sim {

using duration = std::chrono::nanoseconds;

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). Not thread-safe.
class dice {
 public:
  explicit dice(uint64_t seed) noexcept : state_(seed * 0x9E3779B97F4A7C15ULL + 0x2545F4914F6CDD1DULL) {}

  uint64_t next() noexcept {
    uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
  }
  /// 0 … bound - 1; 0 for a bound of 0.
  size_t below(size_t bound) noexcept { return bound == 0 ? 0 : static_cast<size_t>(next() % bound); }
  /// True with that probability.
  bool chance(double probability) noexcept { return static_cast<double>(next() >> 11U) * 0x1.0p-53 < probability; }
  /// Evenly from [least, most].
  duration between(duration least, duration most) noexcept {
    return least + duration{static_cast<int64_t>(below(static_cast<size_t>((most - least).count()) + 1))};
  }
  /// Another one that does not depend on how often this one is used afterwards.
  dice split() noexcept { return dice(next()); }

 private:
  uint64_t state_;
};

}  // namespace tern::sim

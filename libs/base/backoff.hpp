// Exponential backoff with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter").
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace tern {

/// Not thread-safe. Delays grow from `first` by doubling up to `most`; each is drawn from [half, whole] of its step.
class backoff {
 public:
  using duration = std::chrono::milliseconds;
  backoff(duration first, duration most, uint64_t seed = std::random_device{}())
      : first_(first), most_(most), step_(first), random_(seed) {}

  duration next() {
    std::uniform_int_distribution<int64_t> pick(step_.count() / 2, step_.count());
    const duration delay{pick(random_)};
    step_ = std::min(step_ * 2, most_);
    return delay;
  }
  void reset() { step_ = first_; }

 private:
  duration first_;
  duration most_;
  duration step_;
  std::minstd_rand random_;
};

}  // namespace tern

// Series that follow a number which somebody else counts: brought up to date at each scrape.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "libs/metrics/metrics.hpp"
#include "libs/metrics/tally.hpp"

namespace tern::metrics {

/// A counter that reaches what a reading says. Scrapes may overlap: call it under a lock, or from one thread.
class pulled_counter {
 public:
  pulled_counter() = default;
  explicit pulled_counter(counter into) : into_(into) {}
  void reach(double value) {
    into_.add(std::max(0.0, value - last_));
    last_ = std::max(last_, value);
  }

 private:
  counter into_;
  double last_ = 0;
};

/// The same for a histogram of the same bounds.
template <size_t Bounds>
class pulled_histogram {
 public:
  pulled_histogram() = default;
  explicit pulled_histogram(histogram into) : into_(into) {}
  void reach(const distribution<Bounds>& from) {
    std::vector<double> grown(Bounds + 1);
    for (size_t i = 0; i <= Bounds; ++i) {
      const uint64_t now = from.count(i);
      grown[i] = static_cast<double>(now - last_[i]);
      last_[i] = now;
    }
    const double sum = from.sum();
    into_.merge(grown, sum - sum_);
    sum_ = sum;
  }

 private:
  histogram into_;
  std::array<uint64_t, Bounds + 1> last_{};
  double sum_ = 0;
};

}  // namespace tern::metrics

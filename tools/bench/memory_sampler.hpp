// Resident memory of processes over time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "tools/bench/usage.hpp"

namespace tern::bench {

/// Sums over the watched processes at one moment.
struct memory_sample {
  std::chrono::steady_clock::time_point when{};
  uint64_t pss_bytes = 0;
  uint64_t rss_bytes = 0;
};

/// Least and most of the samples of a time.
struct memory_span {
  size_t samples = 0;
  uint64_t least_pss = 0, most_pss = 0;
  uint64_t least_rss = 0, most_rss = 0;
};

/// Over the samples in [from, to).
memory_span span_of(const std::vector<memory_sample>& samples, std::chrono::steady_clock::time_point from,
                    std::chrono::steady_clock::time_point to);

/// Reads the memory of processes (without their children: databases are not meant) in a thread of its own, from now
/// until it is destroyed.
class memory_sampler {
 public:
  explicit memory_sampler(const std::vector<watched>& processes,
                          std::chrono::milliseconds every = std::chrono::milliseconds(250));
  ~memory_sampler();
  memory_sampler(const memory_sampler&) = delete;
  memory_sampler& operator=(const memory_sampler&) = delete;

  /// Thread-safe; all samples so far, and one of this moment.
  std::vector<memory_sample> take();
  /// Thread-safe.
  memory_span between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to);

 private:
  void sample();

  const std::vector<watched> processes_;
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopped_ = false;
  std::vector<memory_sample> samples_;
  std::thread thread_;
};

/// Memory of the service processes, now; 0 when none is watched.
memory_sample memory_of(const std::vector<watched>& processes);

}  // namespace tern::bench

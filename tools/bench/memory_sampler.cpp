#include "tools/bench/memory_sampler.hpp"

#include <algorithm>

namespace tern::bench {

memory_sample memory_of(const std::vector<watched>& processes) {
  memory_sample made;
  for (const auto& one : processes) {
    if (one.with_children) continue;
    const auto used = usage_of(one, true);
    made.pss_bytes += used.pss_bytes;
    made.rss_bytes += used.rss_bytes;
  }
  made.when = std::chrono::steady_clock::now();
  return made;
}

memory_span span_of(const std::vector<memory_sample>& samples, std::chrono::steady_clock::time_point from,
                    std::chrono::steady_clock::time_point to) {
  memory_span span;
  for (const auto& each : samples) {
    if (each.when < from || each.when >= to) continue;
    const bool first = span.samples++ == 0;
    span.least_pss = first ? each.pss_bytes : std::min(span.least_pss, each.pss_bytes);
    span.least_rss = first ? each.rss_bytes : std::min(span.least_rss, each.rss_bytes);
    span.most_pss = std::max(span.most_pss, each.pss_bytes);
    span.most_rss = std::max(span.most_rss, each.rss_bytes);
  }
  return span;
}

memory_sampler::memory_sampler(const std::vector<watched>& processes, std::chrono::milliseconds every)
    : processes_(processes) {
  thread_ = std::thread([this, every] {
    std::unique_lock lock(mutex_);
    while (!stopped_) {
      lock.unlock();
      sample();
      lock.lock();
      stop_.wait_for(lock, every, [this] { return stopped_; });
    }
  });
}

memory_sampler::~memory_sampler() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  stop_.notify_all();
  thread_.join();
}

void memory_sampler::sample() {
  const auto now = memory_of(processes_);
  const std::lock_guard lock(mutex_);
  samples_.push_back(now);
}

std::vector<memory_sample> memory_sampler::take() {
  sample();
  const std::lock_guard lock(mutex_);
  return samples_;
}

memory_span memory_sampler::between(std::chrono::steady_clock::time_point from,
                                    std::chrono::steady_clock::time_point to) {
  const std::lock_guard lock(mutex_);
  return span_of(samples_, from, to);
}

}  // namespace tern::bench

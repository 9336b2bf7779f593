// The one factory of metric families. Light header; prometheus-cpp stays inside metrics.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tern::metrics {

using labels = std::map<std::string, std::string>;

/// Handles are cheap to copy, thread-safe, and live as long as the registry.
class counter {
 public:
  void add(double amount = 1) const noexcept;

 private:
  friend class registry;
  void* impl_ = nullptr;
};

class gauge {
 public:
  void set(double value) const noexcept;
  void add(double amount) const noexcept;

 private:
  friend class registry;
  void* impl_ = nullptr;
};

class histogram {
 public:
  void observe(double value) const noexcept;
  /// Adds what was counted elsewhere: one number per bucket, the last of them for what is above all bounds.
  void merge(const std::vector<double>& counts, double sum) const;

 private:
  friend class registry;
  void* impl_ = nullptr;
};

/// Seconds: .001 .0025 .005 .01 .025 .05 .1 .25 .5 1 2.5 5 10.
const std::vector<double>& latency_buckets();
/// The same and three more between each two of them: for a quantile that is right within a few per cent.
const std::vector<double>& fine_latency_buckets();
/// Bytes or rows in powers of 4 from 1 (rows) or 64 (bytes).
const std::vector<double>& size_buckets();

/// One per process. Asking twice for the same name and labels gives the same series; another help text or kind is a
/// bug and throws std::logic_error.
class registry {
 public:
  registry();
  ~registry();
  registry(const registry&) = delete;
  registry& operator=(const registry&) = delete;

  metrics::counter counter(const std::string& name, const std::string& help, const labels& values = {});
  metrics::gauge gauge(const std::string& name, const std::string& help, const labels& values = {});
  metrics::histogram histogram(const std::string& name, const std::string& help, const std::vector<double>& buckets,
                               const labels& values = {});
  /// `refresh` runs before each scrape, on the scraper's thread: for gauges that are read, not counted.
  void on_collect(std::function<void()> refresh);
  /// Prometheus text format 0.0.4.
  std::string render();

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace tern::metrics

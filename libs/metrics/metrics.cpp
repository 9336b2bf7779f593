#include "libs/metrics/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <mutex>
#include <stdexcept>

namespace tern::metrics {

void counter::add(double amount) const noexcept {
  if (impl_ != nullptr) static_cast<prometheus::Counter*>(impl_)->Increment(amount);
}
void gauge::set(double value) const noexcept {
  if (impl_ != nullptr) static_cast<prometheus::Gauge*>(impl_)->Set(value);
}
void gauge::add(double amount) const noexcept {
  if (impl_ != nullptr) static_cast<prometheus::Gauge*>(impl_)->Increment(amount);
}
void histogram::observe(double value) const noexcept {
  if (impl_ != nullptr) static_cast<prometheus::Histogram*>(impl_)->Observe(value);
}

void histogram::merge(const std::vector<double>& counts, double sum) const {
  if (impl_ != nullptr) static_cast<prometheus::Histogram*>(impl_)->ObserveMultiple(counts, sum);
}

const std::vector<double>& latency_buckets() {
  static const std::vector<double> seconds{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};
  return seconds;
}

const std::vector<double>& fine_latency_buckets() {
  static const std::vector<double> seconds = [] {
    std::vector<double> out;
    double from = 0;
    for (const double to : latency_buckets()) {
      // Bounds grow by an eighth or less where latencies are looked at; rounded, since they are read by people, too.
      const bool near = from > 0 && to <= 1;
      const int parts = !near ? 4 : to > 2 * from ? 8 : 6;
      for (int part = 1; part < parts; ++part) {
        const double bound =
            near ? from * std::pow(to / from, part / static_cast<double>(parts)) : from + (to - from) * part / parts;
        const double unit = std::pow(10, std::floor(std::log10(bound)) - 2);
        out.push_back(std::round(bound / unit) * unit);
      }
      out.push_back(from = to);
    }
    return out;
  }();
  return seconds;
}

const std::vector<double>& size_buckets() {
  static const std::vector<double> powers = [] {
    std::vector<double> out;
    for (double bound = 1; bound <= 1048576; bound *= 4) out.push_back(bound);
    return out;
  }();
  return powers;
}

namespace {

enum class kind { counter, gauge, histogram };

/// What the first declaration of a name fixed.
struct family {
  kind what;
  std::string help;
  std::vector<double> buckets;
  void* impl;  // prometheus::Family<…>, owned by the registry
};

/// Prometheus naming: base units and lower case by our own rule, counters end in _total.
void check_name(const std::string& name, kind what) {
  const auto legal = [](unsigned char c) { return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_'; };
  if (name.empty() || !std::all_of(name.begin(), name.end(), legal))
    throw std::logic_error("bad metric name " + name);
  if ((what == kind::counter) != name.ends_with("_total")) {
    throw std::logic_error("counters, and only they, end in _total: " + name);
  }
}

}  // namespace

struct registry::impl {
  prometheus::Registry store;
  std::mutex lock;  // of the two below
  std::map<std::string, family> families;
  std::vector<std::function<void()>> refreshers;

  /// The family of that name, made by `make` the first time. Throws std::logic_error on a contradiction.
  template <class Make>
  family& find(const std::string& name, const std::string& help, kind what, const std::vector<double>& buckets,
               Make make) {
    const auto known = families.find(name);
    if (known == families.end()) {
      check_name(name, what);
      return families.emplace(name, family{what, help, buckets, make()}).first->second;
    }
    const family& old = known->second;
    if (old.what != what || old.help != help || old.buckets != buckets) {
      throw std::logic_error("metric declared twice, differently: " + name);
    }
    return known->second;
  }
};

registry::registry() : impl_(std::make_unique<impl>()) {}
registry::~registry() = default;

counter registry::counter(const std::string& name, const std::string& help, const labels& values) {
  const std::lock_guard hold{impl_->lock};
  auto& found = impl_->find(name, help, kind::counter, {},
                            [&] { return &prometheus::BuildCounter().Name(name).Help(help).Register(impl_->store); });
  metrics::counter handle;
  handle.impl_ = &static_cast<prometheus::Family<prometheus::Counter>*>(found.impl)->Add(values);
  return handle;
}

gauge registry::gauge(const std::string& name, const std::string& help, const labels& values) {
  const std::lock_guard hold{impl_->lock};
  auto& found = impl_->find(name, help, kind::gauge, {},
                            [&] { return &prometheus::BuildGauge().Name(name).Help(help).Register(impl_->store); });
  metrics::gauge handle;
  handle.impl_ = &static_cast<prometheus::Family<prometheus::Gauge>*>(found.impl)->Add(values);
  return handle;
}

histogram registry::histogram(const std::string& name, const std::string& help, const std::vector<double>& buckets,
                              const labels& values) {
  const std::lock_guard hold{impl_->lock};
  auto& found = impl_->find(name, help, kind::histogram, buckets, [&] {
    return &prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->store);
  });
  metrics::histogram handle;
  handle.impl_ = &static_cast<prometheus::Family<prometheus::Histogram>*>(found.impl)->Add(values, buckets);
  return handle;
}

void registry::on_collect(std::function<void()> refresh) {
  const std::lock_guard hold{impl_->lock};
  impl_->refreshers.push_back(std::move(refresh));
}

std::string registry::render() {
  std::vector<std::function<void()>> refreshers;
  {
    const std::lock_guard hold{impl_->lock};
    refreshers = impl_->refreshers;  // they may come back for new series
  }
  for (const auto& refresh : refreshers) refresh();
  return prometheus::TextSerializer{}.Serialize(impl_->store.Collect());
}

}  // namespace tern::metrics

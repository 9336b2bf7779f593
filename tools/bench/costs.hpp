// Counts what processes used between two moments.
#pragma once

#include "tools/bench/scenarios.hpp"

namespace tern::bench {

/// Sum of all series of a name in a process's /metrics.
double scrape(const client::endpoint& from, const std::string& name);

/// Starts counting when made.
class cost_meter {
 public:
  explicit cost_meter(const setting& with) : with_(with) { restart(); }
  void restart();
  /// Fills `into.costs` with CPU since the start, divided by `operations`.
  void finish(report& into, double operations) const;

 private:
  const setting& with_;
  std::map<std::string, usage> before_;
  double own_before_ = 0;
};

}  // namespace tern::bench

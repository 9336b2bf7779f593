// What the parts of the suite find, and how they are told what to run against.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "libs/cluster/cluster.hpp"
#include "tools/bench/scenarios.hpp"

namespace tern::bench {

/// A figure to reach: what, measured, target, and whether less is better.
struct goal {
  std::string id;
  std::string what;
  double measured = 0;
  double target = 0;
  bool less_is_better = true;
  std::string unit;
};

struct findings {
  std::vector<goal> goals;
  std::vector<std::pair<std::string, report>> reports;  // where, what
  std::vector<std::string> tables;
};

/// Gateways and processes of a running cluster; progress goes to standard error.
setting setting_of(testing::cluster& running);

/// 0 when the report does not have it.
double value_of(const report& what, const std::string& name);
/// Of a latency's percentile; 0 when the report does not have it.
double milliseconds(const report& what, const std::string& latency, double share);

/// Starts a local cluster as the suite does (databases, Redis, cheap password hashes, no rate limit), runs `measure`
/// against it and stops it.
result<report> on_fresh_cluster(const std::string& binaries, size_t gateways,
                                const std::function<result<report>(const setting&)>& measure);

/// Live streams: one big room, slow viewers, many rooms, a file. Their figures go to `into`.
result<void> measure_streams(const std::string& where, setting with, bool quick, double seconds, findings& into);

}  // namespace tern::bench

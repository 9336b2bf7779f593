// The metric series of the routing service.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libs/metrics/metrics.hpp"
#include "services/routing/cluster.hpp"

namespace tern::routing {

/// Thread-safe handles; made once.
struct routing_metrics {
  explicit routing_metrics(metrics::registry& in);

  /// Gauges of the committed state.
  void show(const meta_state& state);
  void count_commit(const meta_state& before, const meta_state& after, double seconds);

  std::map<std::string, metrics::gauge> nodes;                        // "<service>/<state>"
  std::map<std::string, metrics::gauge> ranges_owned, unowned_slots;  // by map
  metrics::gauge map_version, epoch, leader, term, streams;
  std::vector<metrics::counter> moves_committed;  // by reason
  metrics::counter commits_failed;
  metrics::histogram commit_seconds, publish_seconds, lease_renewal_seconds;
};

}  // namespace tern::routing

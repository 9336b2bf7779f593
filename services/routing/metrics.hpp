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
  /// `changes`: cluster::count_changes().
  void count_commit(const std::vector<size_t>& changes, double seconds);
  void count_orders(const std::vector<move_record>& ended);
  void show_shard_moves(cluster& at);

  std::map<std::string, metrics::gauge> nodes;                        // "<service>/<state>"
  std::map<std::string, metrics::gauge> ranges_owned, unowned_slots;  // by map
  metrics::gauge map_version, epoch, leader, term, streams;
  std::vector<metrics::counter> moves_committed, moves_failed;  // by reason
  metrics::counter commits_failed;
  metrics::gauge moves_open;
  std::vector<metrics::gauge> shard_moves;  // by stage
  metrics::counter shard_moves_done, shard_moves_aborted, shard_moves_rolled_back;
  metrics::registry& registry;
  std::map<std::string, metrics::gauge> shard_slots;  // by shard
  metrics::histogram order_seconds, frozen_seconds;
  metrics::histogram commit_seconds, publish_seconds, lease_renewal_seconds;
};

}  // namespace tern::routing

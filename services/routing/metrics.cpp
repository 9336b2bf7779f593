#include "services/routing/metrics.hpp"

#include <algorithm>

namespace tern::routing {
namespace {

const std::vector<std::string> services{"gateway", "session", "routing", "group", "storage"};
const std::vector<std::string> maps{"sessions", "groups", "storage"};

const placement::range_map& map_of(const meta_state& state, const std::string& name) {
  return name == "sessions" ? state.sessions : name == "groups" ? state.groups : state.storage;
}

/// A storage range is owned when its shard is.
bool has_live_owner(const meta_state& state, const std::string& map, const std::string& owner) {
  std::string node = owner;
  if (map == "storage") {
    const auto* shard = state.find_shard(owner);
    node = shard == nullptr ? std::string() : shard->owner;
  }
  const auto* found = state.find_node(node);
  return found != nullptr && found->alive;
}

}  // namespace

routing_metrics::routing_metrics(metrics::registry& in)
    : map_version(in.gauge("tern_routing_map_version", "Version of the committed maps")),
      epoch(in.gauge("tern_routing_epoch", "Highest epoch of any range or shard")),
      leader(in.gauge("tern_routing_leader", "1 while this node owns the maps")),
      term(in.gauge("tern_routing_term", "Number of the newest leader that this node knows of")),
      streams(in.gauge("tern_routing_join_streams", "Nodes connected to this routing node")),
      commits_failed(in.counter("tern_routing_commits_failed_total", "Commits of new maps that did not succeed")),
      moves_open(in.gauge("tern_routing_moves_open", "Orders to hand over a range that are under way")),
      shard_moves_done(in.counter("tern_routing_shard_moves_total", "Moves of slots between shards that have ended",
                                  {{"outcome", "done"}})),
      shard_moves_aborted(in.counter("tern_routing_shard_moves_total",
                                     "Moves of slots between shards that have ended", {{"outcome", "aborted"}})),
      shard_moves_rolled_back(in.counter("tern_routing_shard_moves_total",
                                         "Moves of slots between shards that have ended",
                                         {{"outcome", "rolled_back"}})),
      registry(in),
      order_seconds(in.histogram("tern_routing_move_seconds", "Time a change of the maps takes, by phase",
                                 metrics::latency_buckets(), {{"phase", "order"}})),
      frozen_seconds(in.histogram("tern_routing_move_seconds", "Time a change of the maps takes, by phase",
                                  metrics::latency_buckets(), {{"phase", "frozen"}})),
      commit_seconds(in.histogram("tern_routing_move_seconds", "Time a change of the maps takes, by phase",
                                  metrics::latency_buckets(), {{"phase", "commit"}})),
      publish_seconds(in.histogram("tern_routing_move_seconds", "Time a change of the maps takes, by phase",
                                   metrics::latency_buckets(), {{"phase", "publish"}})),
      lease_renewal_seconds(in.histogram("tern_routing_lease_renewal_seconds",
                                         "Time between two renewals of a node's lease", metrics::latency_buckets())) {
  for (const auto& service : services) {
    for (const std::string state : {"alive", "dead"}) {
      nodes[service + "/" + state] =
          in.gauge("tern_routing_nodes", "Known nodes", {{"service", service}, {"state", state}});
    }
  }
  for (const auto& map : maps) {
    ranges_owned[map] = in.gauge("tern_routing_ranges_owned", "Ranges that a live node owns", {{"map", map}});
    unowned_slots[map] = in.gauge("tern_routing_unowned_slots", "Slots that no live node owns", {{"map", map}});
  }
  for (size_t i = 0; i < static_cast<size_t>(shard_stage::done); ++i) {
    const std::string stage(to_string(static_cast<shard_stage>(i)));
    shard_moves.push_back(
        in.gauge("tern_routing_shard_moves", "Moves of slots between shards that are not over", {{"state", stage}}));
  }
  for (size_t i = 0; i < move_reasons; ++i) {
    const std::string reason(to_string(static_cast<move_reason>(i)));
    moves_failed.push_back(in.counter("tern_routing_moves_total", "Ranges and shards given a new owner or epoch",
                                      {{"reason", reason}, {"result", "failed"}}));
    moves_committed.push_back(in.counter("tern_routing_moves_total", "Ranges and shards given a new owner or epoch",
                                         {{"reason", reason}, {"result", "committed"}}));
  }
}

void routing_metrics::show(const meta_state& state) {
  map_version.set(static_cast<double>(state.version));
  std::map<std::string, int> count;
  for (const auto& each : state.nodes) ++count[each.service + (each.alive ? "/alive" : "/dead")];
  for (const auto& [key, gauge] : nodes) gauge.set(count[key]);
  uint64_t highest = 0;
  for (const auto& name : maps) {
    uint64_t owned_slots = 0, owned = 0;
    for (const auto& each : map_of(state, name).ranges()) {
      highest = std::max(highest, each.epoch);
      if (!has_live_owner(state, name, each.owner)) continue;
      ++owned;
      owned_slots += each.last - each.first + 1;
    }
    ranges_owned[name].set(static_cast<double>(owned));
    unowned_slots[name].set(static_cast<double>(slot_count - owned_slots));
  }
  for (const auto& each : state.shards) {
    highest = std::max(highest, each.epoch);
    auto [slots, fresh] = shard_slots.try_emplace(each.name);
    if (fresh) slots->second = registry.gauge("tern_routing_shard_slots", "Slots of a shard", {{"shard", each.name}});
    slots->second.set(static_cast<double>(slots_now(state, each.name)));
  }
  epoch.set(static_cast<double>(highest));
}

void routing_metrics::count_commit(const std::vector<size_t>& changes, double seconds) {
  for (size_t i = 0; i < changes.size(); ++i) moves_committed[i].add(static_cast<double>(changes[i]));
  commit_seconds.observe(seconds);
}

void routing_metrics::count_orders(const std::vector<move_record>& ended) {
  for (const auto& each : ended) {
    if (each.now != move_record::phase::done) {
      moves_failed[static_cast<size_t>(each.reason)].add();
      continue;
    }
    order_seconds.observe(std::chrono::duration<double>(each.ready_at - each.began).count());
    frozen_seconds.observe(std::chrono::duration<double>(each.frozen).count());
  }
}

void routing_metrics::show_shard_moves(cluster& at) {
  std::vector<size_t> count(shard_stages);
  for (const auto& each : at.shard_move_views()) ++count[static_cast<size_t>(each.stage)];
  for (size_t i = 0; i < shard_moves.size(); ++i) shard_moves[i].set(static_cast<double>(count[i]));
  const auto ended = at.take_shard_outcomes();
  shard_moves_done.add(static_cast<double>(ended.done));
  shard_moves_aborted.add(static_cast<double>(ended.aborted));
  shard_moves_rolled_back.add(static_cast<double>(ended.rolled_back));
}

}  // namespace tern::routing

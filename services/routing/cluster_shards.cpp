// What routing knows of shards: who can serve them, how they are, which are being added.
#include <algorithm>
#include <utility>

#include "services/routing/cluster.hpp"

namespace tern::routing {
namespace {

constexpr auto adding_patience = std::chrono::seconds(15);

}  // namespace

void cluster::on_shards_served(const std::string& node, std::map<std::string, shard_health> shards) {
  for (const auto& [name, one] : shards) {
    const auto* shard = state_.find_shard(name);
    if (shard == nullptr || shard->owner != node || one.term == 0) continue;
    auto& place = wanted_.shards[name];
    place.term = std::max(place.term, one.term);
  }
  health_[node] = std::move(shards);
}

const shard_health* cluster::health_of(const std::string& shard) const {
  const auto of = [&](const std::string& node) -> const shard_health* {
    const auto at = health_.find(node);
    if (at == health_.end()) return nullptr;
    const auto found = at->second.find(shard);
    return found == at->second.end() ? nullptr : &found->second;
  };
  if (const auto* known = state_.find_shard(shard); known != nullptr) {
    if (const auto* found = of(known->owner)) return found;
  }
  for (const auto& [node, shards] : health_) {
    if (const auto* found = of(node)) return found;
  }
  return nullptr;
}

std::map<std::string, shard_place> cluster::known_shards() const {
  auto all = wanted_.shards;
  for (const auto& [name, one] : newcomers_) all[name].dsn = one.dsn;
  return all;
}

/// Drained, empty, part of no move, in nobody's configuration.
bool cluster::is_over(const std::string& shard) const {
  if (!wanted_.is_draining(shard) || !stored_.is_draining(shard) || slots_now(state_, shard) != 0) return false;
  if (std::find(how_.shards.begin(), how_.shards.end(), shard) != how_.shards.end()) return false;
  for (const auto& one : wanted_.shard_moves) {
    if (one.source == shard || one.target == shard) return false;
  }
  for (const auto& [node, who] : members_.all()) {
    const bool lists = std::find(who.shards.begin(), who.shards.end(), shard) != who.shards.end();
    if (who.info.alive && lists) return false;
  }
  return true;
}

void cluster::begin_adding(const std::string& name, const std::string& dsn) {
  for (auto& [node, shards] : health_) shards.erase(name);  // of an attempt before
  newcomers_[name] = {dsn, time_.now() + adding_patience};
}

cluster::adding cluster::added(const std::string& name, std::string& why) {
  const auto at = newcomers_.find(name);
  if (at == newcomers_.end()) {
    const auto* shard = state_.find_shard(name);
    if (shard != nullptr && !shard->owner.empty()) return adding::done;
    if (wanted_.shards.contains(name)) return adding::waiting;
    why = "another request has ended it";
    return adding::failed;
  }
  for (const auto& [node, who] : members_.all()) {
    const auto heard = health_.find(node);
    if (!who.info.alive || heard == health_.end()) continue;
    const auto of = heard->second.find(name);
    if (of == heard->second.end() || !of->second.problem.empty()) continue;
    wanted_.shards[name] = {at->second.dsn, of->second.term, false};
    newcomers_.erase(at);
    return adding::accepted;
  }
  const auto* heard = health_of(name);
  const bool over = time_.now() >= at->second.until;
  if (!over && (heard == nullptr || heard->problem.empty())) return adding::waiting;
  why = heard != nullptr && !heard->problem.empty() ? heard->problem : "no storage node could open it in time";
  newcomers_.erase(at);
  return adding::failed;
}

}  // namespace tern::routing

#include "services/routing/cluster.hpp"

#include <algorithm>
#include <utility>

#include "libs/placement/planner.hpp"

namespace tern::routing {
namespace {

bool same_but_version(const meta_state& a, const meta_state& b) {
  return a.nodes == b.nodes && a.sessions == b.sessions && a.groups == b.groups && a.storage == b.storage &&
         a.shards == b.shards;
}

bool owns_any(const placement::range_map& map, const std::string& name) {
  return std::any_of(map.ranges().begin(), map.ranges().end(), [&](const auto& each) { return each.owner == name; });
}

move_reason reason_of(const std::string& before, const std::string& after, const meta_state& next) {
  if (before.empty()) return move_reason::first;
  if (before == after) return move_reason::restart;
  const auto* old = next.find_node(before);
  if (old == nullptr || !old->alive) return move_reason::death;
  // Alive and left with something: it made room. Alive and left with nothing: it drains.
  const bool keeps =
      owns_any(next.sessions, before) || owns_any(next.groups, before) ||
      std::any_of(next.shards.begin(), next.shards.end(), [&](const auto& s) { return s.owner == before; });
  return keeps ? move_reason::join : move_reason::drain;
}

}  // namespace

void cluster::load(meta_state stored) {
  state_ = std::move(stored);
  for (const auto& each : state_.nodes) {
    if (each.name == how_.self.name) continue;
    std::vector<std::string> shards;
    for (const auto& shard : state_.shards) {
      if (shard.owner == each.name) shards.push_back(shard.name);
    }
    const bool owner = !shards.empty() || owns_any(state_.sessions, each.name) || owns_any(state_.groups, each.name);
    members_.expect(each, std::move(shards), owner);
  }
}

std::vector<std::string> cluster::owners(const meta_state& of) {
  std::vector<std::string> names;
  for (const auto* map : {&of.sessions, &of.groups}) {
    for (const auto& each : map->ranges()) {
      if (names.empty() || names.back() != each.owner) names.push_back(each.owner);
    }
  }
  for (const auto& each : of.shards) names.push_back(each.owner);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void cluster::add_configured_shards(meta_state& next) const {
  for (const auto& name : how_.shards) {
    if (next.find_shard(name) == nullptr) next.shards.push_back({name, {}, 0});
  }
  std::sort(next.shards.begin(), next.shards.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

std::optional<meta_state> cluster::plan() {
  meta_state next = state_;
  next.version = state_.version + 1;  // also the epoch of whatever changes: it grows with every commit
  next.sessions = placement::spread(state_.sessions, members_.candidates("session"), next.version);
  next.groups = placement::spread(state_.groups, members_.candidates("group"), next.version);
  add_configured_shards(next);
  next.shards = placement::assign_shards(next.shards, members_.candidates("storage"), next.version);
  if (next.storage.ranges().empty()) next.storage = placement::first_storage_map(how_.shards, next.version);
  members_.forget_dead(owners(next));
  next.nodes = members_.nodes();
  next.nodes.push_back(how_.self);
  std::sort(next.nodes.begin(), next.nodes.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  if (same_but_version(next, state_)) return std::nullopt;
  return next;
}

void cluster::committed(meta_state next) {
  members_.restarts_done(next.nodes);
  state_ = std::move(next);
}

std::vector<size_t> count_moves(const meta_state& before, const meta_state& after) {
  std::vector<size_t> counts(5, 0);
  const auto count = [&](const std::string& was, const std::string& is) {
    ++counts[static_cast<size_t>(reason_of(was, is, after))];
  };
  for (const auto map : {&meta_state::sessions, &meta_state::groups}) {
    for (const auto& each : (after.*map).ranges()) {
      const auto* old = (before.*map).find(each.first);
      if (old == nullptr || old->owner != each.owner || old->epoch != each.epoch) {
        count(old == nullptr ? std::string() : old->owner, each.owner);
      }
    }
  }
  for (const auto& each : after.shards) {
    const auto* old = before.find_shard(each.name);
    if (each.epoch != 0 && (old == nullptr || old->epoch != each.epoch)) {
      count(old == nullptr ? std::string() : old->owner, each.owner);
    }
  }
  return counts;
}

}  // namespace tern::routing

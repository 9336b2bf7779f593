#include "services/routing/cluster.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "libs/placement/planner.hpp"

namespace tern::routing {
namespace {

bool same_but_version(const meta_state& a, const meta_state& b) {
  return a.nodes == b.nodes && a.sessions == b.sessions && a.groups == b.groups && a.storage == b.storage &&
         a.shards == b.shards;
}

bool owns_some(const placement::range_map& map, const std::string& name) {
  return std::any_of(map.ranges().begin(), map.ranges().end(), [&](const auto& each) { return each.owner == name; });
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
    const bool owner =
        !shards.empty() || owns_some(state_.sessions, each.name) || owns_some(state_.groups, each.name);
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

void cluster::renew_shards(meta_state& next) const {
  for (const auto& name : how_.shards) {
    if (next.find_shard(name) == nullptr) next.shards.push_back({name, {}, 0});
  }
  for (const auto& [name, place] : stored_.shards) {
    if (next.find_shard(name) == nullptr) next.shards.push_back({name, {}, 0});
  }
  std::erase_if(next.shards, [&](const auto& each) { return is_over(each.name); });
  std::sort(next.shards.begin(), next.shards.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
}

std::vector<placement::candidate> cluster::candidates(const std::string& service, const intents& what) const {
  auto all = members_.candidates(service);
  std::erase_if(all, [&](const auto& each) { return what.drains.contains(each.name); });
  return all;
}

/// What was wanted of nodes that are gone.
void cluster::forget_intents() {
  const auto gone = [&](const std::string& name) {
    const auto* who = members_.find(name);
    return who == nullptr || !who->info.alive;
  };
  std::erase_if(wanted_.pins, [&](const pin& each) { return gone(each.target); });
  std::erase_if(wanted_.drains, gone);
}

std::optional<meta_state> cluster::plan() {
  meta_state next = state_;
  next.version = state_.version + 1;  // also the epoch of whatever changes: it grows with every commit
  forget_intents();
  const auto sessions = candidates("session");
  const auto groups = candidates("group");
  std::unordered_set<std::string_view> names;
  for (const auto* list : {&sessions, &groups}) {
    for (const auto& each : *list) names.insert(each.name);
  }
  moves_.review(members_, [&](const std::string& name) { return names.contains(name); });
  const auto plan_of = [&](range_kind kind, const placement::range_map& now, const auto& takers) {
    return moves_.plan({kind, &now, &takers, &wanted_.pins, &wanted_.drains, &members_, next.version});
  };
  next.sessions = plan_of(range_kind::sessions, state_.sessions, sessions);
  next.groups = plan_of(range_kind::groups, state_.groups, groups);
  renew_shards(next);
  next.shards = placement::assign_shards(next.shards, candidates("storage"), next.version);
  if (next.storage.ranges().empty()) next.storage = placement::first_storage_map(how_.shards, next.version);
  shard_moves_.decide(shard_situation(), next);
  // Who owns nothing any more is forgotten when that is committed: if it is not, and a new process of it joins, its
  // ranges and shards are to get a new epoch.
  next.nodes = members_.nodes();
  const auto keep = owners(next);
  std::erase_if(next.nodes, [&](const auto& each) {
    return !each.alive && !std::binary_search(keep.begin(), keep.end(), each.name);
  });
  next.nodes.push_back(how_.self);
  std::sort(next.nodes.begin(), next.nodes.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  if (!same_but_version(next, state_)) return next;
  members_.forget_dead(keep);
  return std::nullopt;
}

void cluster::committed(meta_state next) {
  members_.restarts_done(next.nodes);
  moves_.committed(range_kind::sessions, state_.sessions, next.sessions);
  moves_.committed(range_kind::groups, state_.groups, next.groups);
  state_ = std::move(next);
  shard_moves_.committed();
  members_.forget_dead(owners(state_));
  std::erase_if(health_, [&](const auto& each) { return members_.find(each.first) == nullptr; });
}

bool cluster::on_result(const std::string& node, const placement::move_result& result) {
  const auto& active = moves_.active();
  const auto found =
      std::find_if(active.begin(), active.end(), [&](const auto& each) { return each.order.move == result.move; });
  const auto target = found == active.end() ? std::string() : found->order.target;
  if (!moves_.on_result(node, result)) return false;
  if (result.code == errc::ok) members_.shift_load(node, target, result.moved);
  return true;
}

bool cluster::owns_any(const std::string& node) const {
  const auto has = [&](const auto& each) { return each.owner == node; };
  return owns_some(state_.sessions, node) || owns_some(state_.groups, node) ||
         std::any_of(state_.shards.begin(), state_.shards.end(), has);
}

bool cluster::tick() {
  const bool members = members_.tick();
  const bool shards = shard_moves_.tick(shard_situation());
  return moves_.tick() || members || shards;
}

std::vector<move_record> cluster::preview(const intents& what) const {
  const auto sessions = candidates("session", what);
  const auto groups = candidates("group", what);
  auto all = moves_.preview(
      {range_kind::sessions, &state_.sessions, &sessions, &what.pins, &what.drains, &members_, state_.version});
  auto more = moves_.preview(
      {range_kind::groups, &state_.groups, &groups, &what.pins, &what.drains, &members_, state_.version});
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  return all;
}

move_reason cluster::reason_of(const std::string& before, const std::string& after) const {
  if (before.empty()) return move_reason::first;
  if (before == after) return move_reason::restart;
  const auto* old = members_.find(before);
  if (old == nullptr || !old->info.alive) return move_reason::death;
  if (!old->slots_wanted || wanted_.drains.contains(before)) return move_reason::drain;
  return moves_.is_new(members_.find(after)) ? move_reason::join : move_reason::balance;
}

std::vector<size_t> cluster::count_changes(const meta_state& next) const {
  std::vector<size_t> counts(move_reasons, 0);
  const auto count = [&](const std::string& was, const std::string& is) {
    ++counts[static_cast<size_t>(reason_of(was, is))];
  };
  for (const auto map : {&meta_state::sessions, &meta_state::groups}) {
    const auto kind = map == &meta_state::sessions ? range_kind::sessions : range_kind::groups;
    for (const auto& each : (next.*map).ranges()) {
      const auto* old = (state_.*map).find(each.first);
      if (old != nullptr && old->owner == each.owner && old->epoch == each.epoch) continue;
      const bool pinned = std::any_of(wanted_.pins.begin(), wanted_.pins.end(), [&](const pin& one) {
        return one.kind == kind && one.first <= each.first && each.first <= one.last && one.target == each.owner;
      });
      if (pinned && old != nullptr && old->owner != each.owner) {
        ++counts[static_cast<size_t>(move_reason::by_hand)];
      } else {
        count(old == nullptr ? std::string() : old->owner, each.owner);
      }
    }
  }
  for (const auto& each : next.shards) {
    const auto* old = state_.find_shard(each.name);
    if (each.epoch != 0 && (old == nullptr || old->epoch != each.epoch)) {
      count(old == nullptr ? std::string() : old->owner, each.owner);
    }
  }
  return counts;
}

}  // namespace tern::routing

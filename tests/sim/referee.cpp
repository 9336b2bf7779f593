#include "tests/sim/referee.hpp"

#include <algorithm>
#include <functional>

#include "tests/sim/process.hpp"

namespace tern::sim {

namespace {

using namespace std::chrono_literals;

constexpr duration afterwards = 100ms;

std::string text(uint64_t number) { return std::to_string(number); }

}  // namespace

// ---- maps --------------------------------------------------------------------------------------------------------

void referee::committed(const placement::snapshot& maps) {
  ++looks_;
  if (maps.version <= version_) {
    world_.violation("maps of version " + text(maps.version) + " were committed after " + text(version_));
  }
  const auto before = maps_.empty() ? placement::snapshot{} : maps_.rbegin()->second;
  version_ = maps.version;
  maps_[maps.version] = maps;
  grant_ranges(kind::session, maps.sessions);
  grant_ranges(kind::group, maps.groups);
  for (const auto& shard : maps.shards) {
    if (shard.owner.empty()) continue;
    const auto [at, fresh] = shard_grants_.try_emplace({shard.name, shard.epoch}, shard.owner);
    if (!fresh && at->second != shard.owner) {
      world_.violation("shard " + shard.name + " has two owners in epoch " + text(shard.epoch) + ": " + at->second +
                       " and " + shard.owner);
    }
  }
  if (on_commit_) on_commit_(before);
}

void referee::grant_ranges(kind what, const placement::range_map& map) {
  auto& known = grants_[static_cast<size_t>(what)];
  for (const auto& one : map.ranges()) {
    if (one.owner.empty()) continue;
    bool same = false;
    for (const auto& each : known) {
      if (each.epoch != one.epoch || each.last < one.first || one.last < each.first) continue;
      if (each.owner != one.owner) {
        world_.violation("slots " + text(one.first) + "-" + text(one.last) + " have two owners in epoch " +
                         text(one.epoch) + ": " + each.owner + " and " + one.owner);
      }
      same = same || (each.first <= one.first && one.last <= each.last);
    }
    if (!same) known.push_back({one.first, one.last, one.epoch, one.owner});
  }
}

void referee::mapped(const host& at, const placement::snapshot& maps) {
  ++looks_;
  if (maps.version == 0) return;
  const auto known = maps_.find(maps.version);
  if (known == maps_.end()) {
    world_.violation(at.name + " has maps of version " + text(maps.version) + ", which nobody committed");
    return;
  }
  auto& had = maps_of_[at.incarnation()];
  if (!had.empty() && maps.version < had.back().version) {
    world_.violation(at.name + ": maps of version " + text(maps.version) + " after " + text(had.back().version));
  }
  if (!had.empty()) had.back().until = world_.now();
  had.push_back({maps.version, duration::max()});
  const auto& right = known->second;
  if (right.sessions != maps.sessions || right.groups != maps.groups || right.storage != maps.storage ||
      right.shards != maps.shards) {
    world_.violation(at.name + " has other maps of version " + text(maps.version) + " than were committed");
  }
}

// ---- owners ------------------------------------------------------------------------------------------------------

/// By the maps that its process has, or had a moment ago or after `since`: what was let in before they changed is
/// still answered.
void referee::acts(kind what, uint32_t slot, const host& who, duration since) {
  ++looks_;
  const std::string where = (what == kind::session ? " for slot " : " for the rooms of slot ") + text(slot);
  const placement::range* range = nullptr;
  const auto& had = maps_of_[who.incarnation()];
  since = std::min(since, world_.now() - afterwards);
  for (auto at = had.rbegin(); at != had.rend() && range == nullptr && at->until >= since; ++at) {
    const auto& maps = maps_.at(at->version);
    range = (what == kind::session ? maps.sessions : maps.groups).find(slot);
    if (range != nullptr && range->owner != who.name) range = nullptr;
  }
  if (range == nullptr) return world_.violation(who.name + " acts" + where + ", which is not its own");
  auto& newest = actors_[{what, slot, range->epoch}];
  if (newest.owner.empty()) newest.owner = who.name;
  if (newest.owner != who.name || newest.incarnation > who.incarnation()) {
    world_.violation(who.name + " acts" + where + " in epoch " + text(range->epoch) + ", and so did process " +
                     text(newest.incarnation) + " of " + newest.owner);
  }
  newest.incarnation = std::max(newest.incarnation, who.incarnation());
}

void referee::acquired(const std::string& shard, uint64_t epoch) {
  auto& newest = shard_epochs_[shard];
  newest = std::max(newest, epoch);
}

void referee::stored(const host& by, const std::string& shard, uint64_t epoch) {
  ++looks_;
  if (epoch < shard_epochs_[shard]) {
    world_.violation(by.name + " has written to " + shard + " in epoch " + text(epoch) + " after " +
                     text(shard_epochs_[shard]) + " began");
  }
  const auto granted = shard_grants_.find({shard, epoch});
  if (granted == shard_grants_.end() || granted->second != by.name) {
    world_.violation(by.name + " has written to " + shard + " in epoch " + text(epoch) + ", which is not its own");
  }
  const auto [at, fresh] = writers_.try_emplace({shard, epoch}, by.incarnation());
  if (!fresh && at->second != by.incarnation()) {
    world_.violation(by.name + " has written to " + shard + " in epoch " + text(epoch) + ", and so has process " +
                     text(at->second));
  }
}

}  // namespace tern::sim

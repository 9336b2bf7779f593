#include "libs/placement/membership_table.hpp"

#include <algorithm>
#include <utility>

namespace tern::placement {

void membership_table::expect(const node& known, std::vector<std::string> owned_shards, bool slots_wanted) {
  auto& at = members_[known.name];
  at.info = known;
  at.shards = std::move(owned_shards);
  at.slots_wanted = slots_wanted;
  at.admitted = known.alive;
  at.expires = at.grace_until = time_.now() + how_.grace;
}

void membership_table::join(const announcement& what) {
  const auto now = time_.now();
  auto [found, fresh] = members_.try_emplace(what.self.name);
  auto& at = found->second;
  const bool was_alive = !fresh && at.info.alive;
  const bool wanted_slots = at.slots_wanted;
  if (!fresh && at.info.incarnation != what.self.incarnation) {
    at.restarted = true;
    at.grace_until = {};
  }
  at.info = what.self;
  at.info.alive = true;
  at.shards = what.shards;
  at.slots_wanted = what.slots_wanted;
  at.moves = what.moves;
  at.connected = true;
  at.expires = std::max(now + how_.lease, at.grace_until);
  if (!was_alive || (!wanted_slots && what.slots_wanted)) {
    at.admitted_at = now + how_.settle;
    at.admitted = how_.settle.count() == 0;
  }
}

bool membership_table::renew(const std::string& name, uint64_t incarnation) {
  const auto at = members_.find(name);
  if (at == members_.end() || at->second.info.incarnation != incarnation || !at->second.info.alive) return false;
  at->second.expires = std::max(time_.now() + how_.lease, at->second.grace_until);
  return true;
}

void membership_table::disconnected(const std::string& name, uint64_t incarnation) {
  const auto at = members_.find(name);
  if (at == members_.end() || at->second.info.incarnation != incarnation) return;
  at->second.connected = false;
  const auto suspected = std::max(time_.now() + how_.suspect, at->second.grace_until);
  at->second.expires = std::min(at->second.expires, suspected);
}

void membership_table::leave(const std::string& name, uint64_t incarnation) {
  const auto at = members_.find(name);
  if (at == members_.end() || at->second.info.incarnation != incarnation) return;
  at->second.info.alive = false;
  at->second.admitted = false;
  at->second.connected = false;
}

void membership_table::report(const std::string& name, uint64_t incarnation, uint64_t load, uint64_t map_version) {
  const auto at = members_.find(name);
  if (at == members_.end() || at->second.info.incarnation != incarnation) return;
  at->second.load = load;
  at->second.map_version = map_version;
  at->second.heard = time_.now();
}

void membership_table::shift_load(const std::string& from, const std::string& to, uint64_t count) {
  if (const auto at = members_.find(from); at != members_.end()) {
    at->second.load -= std::min(at->second.load, count);
  }
  if (const auto at = members_.find(to); at != members_.end()) at->second.load += count;
}

bool membership_table::tick() {
  const auto now = time_.now();
  bool changed = false;
  for (auto& [name, at] : members_) {
    if (!at.info.alive) continue;
    if (at.expires <= now) {
      at.info.alive = false;
      at.admitted = false;
      changed = true;
    } else if (!at.admitted && at.admitted_at <= now) {
      at.admitted = true;
      changed = true;
    }
  }
  return changed;
}

std::vector<node> membership_table::nodes() const {
  std::vector<node> all;
  all.reserve(members_.size());
  for (const auto& [name, at] : members_) all.push_back(at.info);
  return all;
}

std::vector<candidate> membership_table::candidates(const std::string& service) const {
  std::vector<candidate> all;
  for (const auto& [name, at] : members_) {
    if (at.info.service != service || !at.info.alive || !at.slots_wanted) continue;
    // One that restarted gets its ranges again at once: it owned them, so nothing has to settle.
    if (at.admitted || at.restarted) all.push_back({name, at.shards, at.restarted});
  }
  return all;
}

void membership_table::restarts_done(const std::vector<node>& committed) {
  for (const auto& each : committed) {
    const auto at = members_.find(each.name);
    if (at != members_.end() && at->second.info.incarnation == each.incarnation) at->second.restarted = false;
  }
}

void membership_table::forget_dead(const std::vector<std::string>& owners) {
  std::erase_if(members_, [&](const auto& each) {
    return !each.second.info.alive && std::find(owners.begin(), owners.end(), each.first) == owners.end();
  });
}

const membership_table::member* membership_table::find(const std::string& name) const {
  const auto at = members_.find(name);
  return at == members_.end() ? nullptr : &at->second;
}

}  // namespace tern::placement

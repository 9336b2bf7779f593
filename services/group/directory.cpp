#include "services/group/directory.hpp"

#include <utility>

#include "libs/actor/inline_run.hpp"

namespace tern::group {

void directory::send(room_id to, uint64_t epoch, std::vector<event> events) {
  part& where = part_of(to);
  const std::lock_guard held(where.mutex);
  entry& one = where.entries[to];
  if (one.actor && one.epoch < epoch) {
    // Its supervisor has not come to it yet: what it knows is of a time before another node may have owned the room.
    caf::anon_send(one.actor, mail{{range_lost_event{}}});
    one = {};
  }
  if (!one.actor) {
    one.actor = spawn_(to, epoch);
    one.epoch = epoch;
  }
  ++one.mails;
  // Under the lock, so that mails of one link keep their order and none comes after retire() said yes.
  actor::post(one.actor, mail{std::move(events)});
}

void directory::post(std::vector<addressed>& items) {
  struct bundle {
    room_id room;
    uint64_t epoch = 0;
    std::vector<event> events;
  };
  std::vector<bundle> bundles;
  std::unordered_map<room_id, size_t> places;
  for (addressed& one : items) {
    const auto [at, fresh] = places.try_emplace(one.room, bundles.size());
    if (fresh) bundles.push_back({one.room, one.epoch, {}});
    bundles[at->second].events.push_back(std::move(one.what));
  }
  for (bundle& one : bundles) send(one.room, one.epoch, std::move(one.events));
  items.clear();
}

void directory::broadcast(const event& what) {
  for (part& where : parts_) {
    const std::lock_guard held(where.mutex);
    for (auto& [room, one] : where.entries) {
      ++one.mails;
      caf::anon_send(one.actor, mail{{what}});
    }
  }
}

bool directory::retire(room_id room, caf::actor_id self, uint64_t mails) {
  part& where = part_of(room);
  const std::lock_guard held(where.mutex);
  const auto at = where.entries.find(room);
  if (at == where.entries.end() || at->second.actor.id() != self) return true;
  if (at->second.mails != mails) return false;
  where.entries.erase(at);
  return true;
}

void directory::forget(room_id room, caf::actor_id self) {
  part& where = part_of(room);
  const std::lock_guard held(where.mutex);
  const auto at = where.entries.find(room);
  if (at != where.entries.end() && at->second.actor.id() == self) where.entries.erase(at);
}

size_t directory::end_if(const std::function<bool(room_id, uint64_t)>& lost) {
  size_t ended = 0;
  for (part& where : parts_) {
    const std::lock_guard held(where.mutex);
    for (auto at = where.entries.begin(); at != where.entries.end();) {
      if (!lost(at->first, at->second.epoch)) {
        ++at;
        continue;
      }
      caf::anon_send(at->second.actor, mail{{range_lost_event{}}});
      at = where.entries.erase(at);
      ++ended;
    }
  }
  return ended;
}

caf::actor directory::find(room_id room) {
  part& where = part_of(room);
  const std::lock_guard held(where.mutex);
  const auto at = where.entries.find(room);
  return at == where.entries.end() ? caf::actor{} : at->second.actor;
}

size_t directory::size() const {
  size_t sum = 0;
  for (const part& where : parts_) {
    const std::lock_guard held(where.mutex);
    sum += where.entries.size();
  }
  return sum;
}

}  // namespace tern::group

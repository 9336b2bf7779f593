#include "services/session/directory.hpp"

#include "libs/actor/inline_run.hpp"

namespace tern::session {

void directory::send(account_id to, std::vector<event> events) {
  part& where = part_of(to);
  const std::lock_guard held(where.mutex);
  entry& one = where.entries[to];
  if (!one.actor) one.actor = spawn_(to);
  ++one.mails;
  // Under the lock, so that mails of one link keep their order and none comes after retire() said yes.
  actor::post(one.actor, mail{std::move(events)});
}

void directory::post(account_id to, event what) {
  std::vector<event> events;
  events.push_back(std::move(what));
  send(to, std::move(events));
}

void directory::post(std::vector<addressed>& items) {
  if (items.size() == 1) {
    post(items.front().first, std::move(items.front().second));
    items.clear();
    return;
  }
  std::vector<account_id> order;
  std::unordered_map<account_id, std::vector<event>> grouped;
  for (auto& [to, what] : items) {
    auto& events = grouped[to];
    if (events.empty()) order.push_back(to);
    events.push_back(std::move(what));
  }
  for (const account_id to : order) send(to, std::move(grouped[to]));
  items.clear();
}

bool directory::send_if_present(account_id to, std::vector<event> events) {
  part& where = part_of(to);
  const std::lock_guard held(where.mutex);
  const auto at = where.entries.find(to);
  if (at == where.entries.end()) return false;
  ++at->second.mails;
  actor::post(at->second.actor, mail{std::move(events)});
  return true;
}

bool directory::post_if_present(account_id to, event what) {
  std::vector<event> events;
  events.push_back(std::move(what));
  return send_if_present(to, std::move(events));
}

size_t directory::post_if_present(std::vector<addressed>& items) {
  if (items.size() == 1) {
    const bool sent = post_if_present(items.front().first, std::move(items.front().second));
    items.clear();
    return sent ? 0 : 1;
  }
  std::unordered_map<account_id, std::vector<event>> grouped;
  for (auto& [to, what] : items) grouped[to].push_back(std::move(what));
  items.clear();
  size_t dropped = 0;
  for (auto& [to, events] : grouped) {
    const size_t count = events.size();
    if (!send_if_present(to, std::move(events))) dropped += count;
  }
  return dropped;
}

void directory::broadcast(const event& what) {
  for (part& where : parts_) {
    const std::lock_guard held(where.mutex);
    for (auto& [account, one] : where.entries) {
      ++one.mails;
      caf::anon_send(one.actor, mail{{what}});
    }
  }
}

bool directory::retire(account_id account, caf::actor_id self, uint64_t mails) {
  part& where = part_of(account);
  const std::lock_guard held(where.mutex);
  const auto at = where.entries.find(account);
  if (at == where.entries.end() || at->second.actor.id() != self) return true;
  if (at->second.mails != mails) return false;
  where.entries.erase(at);
  return true;
}

void directory::forget(account_id account, caf::actor_id self) {
  part& where = part_of(account);
  const std::lock_guard held(where.mutex);
  const auto at = where.entries.find(account);
  if (at != where.entries.end() && at->second.actor.id() == self) where.entries.erase(at);
}

size_t directory::end_if(const std::function<bool(account_id)>& lost) {
  size_t ended = 0;
  for (part& where : parts_) {
    const std::lock_guard held(where.mutex);
    for (auto at = where.entries.begin(); at != where.entries.end();) {
      if (!lost(at->first)) {
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

caf::actor directory::find(account_id account) {
  part& where = part_of(account);
  const std::lock_guard held(where.mutex);
  const auto at = where.entries.find(account);
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

}  // namespace tern::session

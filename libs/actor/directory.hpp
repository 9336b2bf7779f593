// Key -> actor, for services with one actor per account, room or the like. Link handlers dispatch through it with one
// message per actor and batch; actors are spawned by the first mail for them and leave when they have nothing to do.
#pragma once

#include <array>
#include <caf/all.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"

namespace tern::actor {

/// Thread-safe. `Mail` is the message actors get, a struct with `std::vector<Event> events`; `Lost` is the event that
/// is an actor's last: another node (or another epoch) owns its key. std::hash<Key> must be good in its highest bits.
///
/// An epoch is that of the key's range, in which an event was accepted; a service that ends its actors by the map
/// alone leaves it 0 everywhere.
template <class Key, class Mail, class Lost>
class directory {
 public:
  using event = typename decltype(Mail::events)::value_type;
  struct addressed {
    Key to;
    event what;
    uint64_t epoch = 0;
  };

  /// `spawn(key)` or `spawn(key, epoch)` -> caf::actor. Called under a lock of the directory, which it must not use.
  template <class Spawn>
  explicit directory(Spawn spawn) : spawn_(with_epoch<caf::actor>(std::move(spawn))) {}

  /// Events of one key stay in order; the actor is spawned if there is none. One of an older epoch is ended, a new
  /// one takes its place. `items` is left empty.
  void post(std::vector<addressed>& items) {
    for (bundle& one : bundles_of(items)) send(one.to, one.epoch, std::move(one.events));
  }
  void post(Key to, event what, uint64_t epoch = 0) { send(to, epoch, only(std::move(what))); }

  /// Drops the event if the key has no actor: false then.
  bool post_if_present(Key to, event what) { return send_if_present(to, only(std::move(what))); }
  /// The same for many, one mail per key; returns how many were dropped. `items` is left empty.
  size_t post_if_present(std::vector<addressed>& items) {
    size_t dropped = 0;
    for (bundle& one : bundles_of(items)) {
      const size_t count = one.events.size();
      if (!send_if_present(one.to, std::move(one.events))) dropped += count;
    }
    return dropped;
  }
  void broadcast(const event& what) {
    for (part& where : parts_) {
      const std::lock_guard held(where.mutex);
      for (auto& [key, one] : where.entries) {
        ++one.mails;
        caf::anon_send(one.actor, Mail{{what}});
      }
    }
  }

  /// One event for the actor of each key `says(key, epoch)` names; returns how many.
  template <class Says>
  size_t tell_if(Says says, const event& what) {
    size_t told = 0;
    for (part& where : parts_) {
      const std::lock_guard held(where.mutex);
      for (auto& [key, one] : where.entries) {
        if (!says(key, one.epoch)) continue;
        ++one.mails;
        caf::anon_send(one.actor, Mail{{what}});
        ++told;
      }
    }
    return told;
  }
  template <class Says>
  size_t count_if(Says says) const {
    size_t sum = 0;
    for (const part& where : parts_) {
      const std::lock_guard held(where.mutex);
      for (const auto& [key, one] : where.entries) sum += says(key, one.epoch) ? 1 : 0;
    }
    return sum;
  }

  /// An actor asks to leave having taken `mails` mails: true when nothing else is on its way to it; it is out then.
  bool retire(Key key, caf::actor_id self, uint64_t mails) {
    part& where = part_of(key);
    const std::lock_guard held(where.mutex);
    const auto at = where.entries.find(key);
    if (at == where.entries.end() || at->second.actor.id() != self) return true;
    if (at->second.mails != mails) return false;
    where.entries.erase(at);
    return true;
  }
  /// The actor has ended by itself: the next mail for the key is for a new one.
  void forget(Key key, caf::actor_id self) {
    part& where = part_of(key);
    const std::lock_guard held(where.mutex);
    const auto at = where.entries.find(key);
    if (at != where.entries.end() && at->second.actor.id() == self) where.entries.erase(at);
  }
  /// Takes out the keys `lost(key)` or `lost(key, epoch)` says and sends each actor Lost as the last mail. Returns
  /// how many.
  template <class Says>
  size_t end_if(Says lost) {
    const auto says = with_epoch<bool>(std::move(lost));
    size_t ended = 0;
    for (part& where : parts_) {
      const std::lock_guard held(where.mutex);
      for (auto at = where.entries.begin(); at != where.entries.end();) {
        if (!says(at->first, at->second.epoch)) {
          ++at;
          continue;
        }
        caf::anon_send(at->second.actor, Mail{{Lost{}}});
        at = where.entries.erase(at);
        ++ended;
      }
    }
    return ended;
  }

  /// As end_if, of one actor: the next mail for the key is for a new one.
  void end(Key key, caf::actor_id self) {
    part& where = part_of(key);
    const std::lock_guard held(where.mutex);
    const auto at = where.entries.find(key);
    if (at == where.entries.end() || at->second.actor.id() != self) return;
    caf::anon_send(at->second.actor, Mail{{Lost{}}});
    where.entries.erase(at);
  }

  /// Null if there is none.
  caf::actor find(Key key) {
    part& where = part_of(key);
    const std::lock_guard held(where.mutex);
    const auto at = where.entries.find(key);
    return at == where.entries.end() ? caf::actor{} : at->second.actor;
  }
  size_t size() const {
    size_t sum = 0;
    for (const part& where : parts_) {
      const std::lock_guard held(where.mutex);
      sum += where.entries.size();
    }
    return sum;
  }

 private:
  struct entry {
    caf::actor actor;
    uint64_t epoch = 0;
    uint64_t mails = 0;
  };
  struct part {
    mutable std::mutex mutex;
    std::unordered_map<Key, entry> entries;
  };
  struct bundle {
    Key to;
    uint64_t epoch = 0;
    std::vector<event> events = {};
  };

  template <class Result, class F>
  static std::function<Result(Key, uint64_t)> with_epoch(F call) {
    if constexpr (std::is_invocable_v<F, Key, uint64_t>) {
      return call;
    } else {
      return [call = std::move(call)](Key key, uint64_t) { return call(key); };
    }
  }
  static std::vector<event> only(event what) {
    std::vector<event> events;
    events.push_back(std::move(what));
    return events;
  }
  /// One per key, in the order of the keys' first events. A mail has the epoch of its first event; who gets it looks
  /// at each.
  static std::vector<bundle> bundles_of(std::vector<addressed>& items) {
    std::vector<bundle> bundles;
    std::unordered_map<Key, size_t> places;
    const bool many = items.size() > 1;
    for (addressed& one : items) {
      const size_t place = many ? places.try_emplace(one.to, bundles.size()).first->second : 0;
      if (place == bundles.size()) bundles.push_back({one.to, one.epoch});
      bundles[place].events.push_back(std::move(one.what));
    }
    items.clear();
    return bundles;
  }

  part& part_of(Key key) { return parts_[std::hash<Key>{}(key) >> 58U]; }
  void send(Key to, uint64_t epoch, std::vector<event> events) {
    part& where = part_of(to);
    const std::lock_guard held(where.mutex);
    entry& one = where.entries[to];
    if (one.actor && one.epoch < epoch) {
      // Its supervisor has not come to it yet: what it knows is of a time before another node may have been the
      // owner.
      caf::anon_send(one.actor, Mail{{Lost{}}});
      one = {};
    }
    if (!one.actor) {
      one.actor = spawn_(to, epoch);
      one.epoch = epoch;
    }
    ++one.mails;
    // Under the lock, so that mails of one link keep their order and none comes after retire() said yes.
    actor::post(one.actor, Mail{std::move(events)});
  }
  bool send_if_present(Key to, std::vector<event> events) {
    part& where = part_of(to);
    const std::lock_guard held(where.mutex);
    const auto at = where.entries.find(to);
    if (at == where.entries.end()) return false;
    ++at->second.mails;
    actor::post(at->second.actor, Mail{std::move(events)});
    return true;
  }

  std::array<part, 64> parts_;
  std::function<caf::actor(Key, uint64_t epoch)> spawn_;
};

}  // namespace tern::actor

// Account -> session actor. Link handlers dispatch through it with one message per actor and batch; actors are
// spawned by the first mail for them and leave when they have nothing to do.
#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/base/ids.hpp"
#include "services/session/events.hpp"

namespace tern::session {

/// Thread-safe.
class directory {
 public:
  using spawner = std::function<caf::actor(account_id)>;
  using addressed = std::pair<account_id, event>;

  explicit directory(spawner spawn) : spawn_(std::move(spawn)) {}

  /// Events of one account stay in order; the actor is spawned if there is none. `items` is left empty.
  void post(std::vector<addressed>& items);
  void post(account_id to, event what);
  /// Drops the event if the account has no actor: false then.
  bool post_if_present(account_id to, event what);
  /// The same for many, one mail per account; returns how many were dropped. `items` is left empty.
  size_t post_if_present(std::vector<addressed>& items);
  void broadcast(const event& what);
  /// An actor asks to leave having taken `mails` mails: true when nothing else is on its way to it; it is out then.
  bool retire(account_id account, caf::actor_id self, uint64_t mails);
  /// The actor has ended by itself: the next mail for the account is for a new one.
  void forget(account_id account, caf::actor_id self);
  /// Takes out the accounts `lost` says and sends each of them range_lost_event as the last mail.
  size_t end_if(const std::function<bool(account_id)>& lost);
  /// Null if there is none.
  caf::actor find(account_id account);
  size_t size() const;

 private:
  struct entry {
    caf::actor actor;
    uint64_t mails = 0;
  };
  struct part {
    mutable std::mutex mutex;
    std::unordered_map<account_id, entry> entries;
  };

  part& part_of(account_id account) { return parts_[std::hash<account_id>{}(account) >> 58U]; }
  void send(account_id to, std::vector<event> events);
  bool send_if_present(account_id to, std::vector<event> events);

  std::array<part, 64> parts_;
  spawner spawn_;
};

}  // namespace tern::session

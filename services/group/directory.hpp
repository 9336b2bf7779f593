// Room -> room actor. Exchange streams dispatch through it with one message per actor and batch; actors are spawned
// by the first request for their room in an epoch and leave when they have nothing to do.
#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "libs/base/ids.hpp"
#include "services/group/events.hpp"

namespace tern::group {

/// Thread-safe.
class directory {
 public:
  using spawner = std::function<caf::actor(room_id, uint64_t epoch)>;
  struct addressed {
    room_id room;
    uint64_t epoch = 0;  // of the room's range, in which the event was accepted
    event what;
  };

  explicit directory(spawner spawn) : spawn_(std::move(spawn)) {}

  /// Events of one room stay in order. An actor of an older epoch is ended, a new one takes its place. `items` is
  /// left empty.
  void post(std::vector<addressed>& items);
  void broadcast(const event& what);
  /// An actor asks to leave having taken `mails` mails: true when nothing else is on its way to it; it is out then.
  bool retire(room_id room, caf::actor_id self, uint64_t mails);
  /// The actor has ended by itself: the next mail for the room is for a new one.
  void forget(room_id room, caf::actor_id self);
  /// Takes out the rooms `lost` says and sends each of them range_lost_event as the last mail.
  size_t end_if(const std::function<bool(room_id, uint64_t epoch)>& lost);
  /// Null if there is none.
  caf::actor find(room_id room);
  size_t size() const;

 private:
  struct entry {
    caf::actor actor;
    uint64_t epoch = 0;
    uint64_t mails = 0;
  };
  struct part {
    mutable std::mutex mutex;
    std::unordered_map<room_id, entry> entries;
  };

  part& part_of(room_id room) { return parts_[std::hash<room_id>{}(room) >> 58U]; }
  void send(room_id to, uint64_t epoch, std::vector<event> events);

  std::array<part, 64> parts_;
  spawner spawn_;
};

}  // namespace tern::group

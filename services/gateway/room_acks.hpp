// Which terminals of an io thread have acknowledgements of rooms to tell, and when: in bulk, once a second per room.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

#include "libs/base/ids.hpp"

namespace tern::gateway {

/// Not thread-safe.
class room_acks {
 public:
  /// `period`: ticks from a room's first acknowledgement to the telling.
  explicit room_acks(uint32_t period) noexcept : period_(period) {}

  /// The connection has something to tell of the room. Once per connection until the room is taken.
  void note(uint64_t room, uint64_t conn, uint32_t tick) {
    const auto [entry, fresh] = rooms_.try_emplace(room);
    if (fresh) due_.push_back({room, tick + period_});
    entry->second.push_back(conn);
  }

  /// Gives take(room, connections) every room that is due.
  template <class Take>
  void take_due(uint32_t tick, Take&& take) {
    while (!due_.empty() && static_cast<int32_t>(tick - due_.front().tick) >= 0) {
      const uint64_t room = due_.front().room;
      due_.pop_front();
      const auto found = rooms_.find(room);
      const std::vector<uint64_t> conns = std::move(found->second);
      rooms_.erase(found);
      take(room, conns);
    }
  }

  size_t size() const noexcept { return rooms_.size(); }

 private:
  struct due_room {
    uint64_t room = 0;
    uint32_t tick = 0;
  };

  const uint32_t period_;
  std::unordered_map<uint64_t, std::vector<uint64_t>> rooms_;
  std::deque<due_room> due_;  // in the order of their ticks
};

}  // namespace tern::gateway

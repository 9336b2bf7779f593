// How many bytes of pushes wait for the actors of virtual rooms: bounded per room and for the node.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "libs/base/ids.hpp"

namespace tern::group::live {

/// Thread-safe. Outlives its charges.
class push_queue {
 public:
  /// Bytes that count until the last copy of this ends.
  class charge {
   public:
    charge() = default;
    charge(const charge& other) : where_(other.where_), room_(other.room_), bytes_(other.bytes_) {
      if (where_ != nullptr) where_->add(room_, bytes_);
    }
    charge(charge&& other) noexcept
        : where_(std::exchange(other.where_, nullptr)), room_(other.room_), bytes_(other.bytes_) {}
    charge& operator=(charge other) noexcept {
      std::swap(where_, other.where_);
      std::swap(room_, other.room_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~charge() {
      if (where_ != nullptr) where_->give_back(room_, bytes_);
    }

   private:
    friend class push_queue;
    charge(push_queue* where, room_id room, size_t bytes) : where_(where), room_(room), bytes_(bytes) {}
    push_queue* where_ = nullptr;
    room_id room_;
    size_t bytes_ = 0;
  };

  enum class bound : uint8_t { none, room, node };

  /// Bytes of one room, and of all of them together.
  push_queue(uint64_t per_room, uint64_t in_all) : per_room_(per_room), in_all_(in_all) {}
  push_queue(const push_queue&) = delete;
  push_queue& operator=(const push_queue&) = delete;

  /// none: `into` is charged. A room that has nothing waiting always gets one, whatever its size.
  bound take(room_id room, size_t bytes, charge& into) {
    if (total_.load(std::memory_order_relaxed) >= in_all_) return bound::node;
    part& where = part_of(room);
    {
      const std::lock_guard held(where.mutex);
      uint64_t& waiting = where.rooms[room];
      if (waiting != 0 && waiting + bytes > per_room_) return bound::room;
      waiting += bytes;
    }
    total_.fetch_add(bytes, std::memory_order_relaxed);
    into = charge(this, room, bytes);
    return bound::none;
  }
  uint64_t bytes() const noexcept { return total_.load(std::memory_order_relaxed); }

 private:
  struct part {
    std::mutex mutex;
    std::unordered_map<room_id, uint64_t> rooms;
  };

  part& part_of(room_id room) { return parts_[std::hash<room_id>{}(room) >> 58U]; }
  void add(room_id room, size_t bytes) {
    part& where = part_of(room);
    const std::lock_guard held(where.mutex);
    where.rooms[room] += bytes;
    total_.fetch_add(bytes, std::memory_order_relaxed);
  }
  void give_back(room_id room, size_t bytes) noexcept {
    part& where = part_of(room);
    const std::lock_guard held(where.mutex);
    total_.fetch_sub(bytes, std::memory_order_relaxed);
    const auto at = where.rooms.find(room);
    if (at != where.rooms.end() && (at->second -= bytes) == 0) where.rooms.erase(at);
  }

  const uint64_t per_room_;
  const uint64_t in_all_;
  std::atomic<uint64_t> total_{0};
  std::array<part, 64> parts_;
};

}  // namespace tern::group::live

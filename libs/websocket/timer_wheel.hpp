// Coarse deadlines of many connections: one intrusive list per tick, one tick source per io thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tern::websocket {

/// A place in a wheel; a member of what has the deadline. Not copyable while it is linked.
struct wheel_node {
  wheel_node() = default;
  wheel_node(const wheel_node&) = delete;
  wheel_node& operator=(const wheel_node&) = delete;

  wheel_node* next = nullptr;
  wheel_node* prev = nullptr;
  uint64_t due = 0;  // tick
  bool linked() const noexcept { return next != nullptr; }
};

/// Hashed wheel: setting and clearing cost O(1), a tick looks at the nodes of its slot. Times are ticks counted by
/// the owner. Not thread-safe; nodes must be cleared before they or the wheel are destroyed.
class timer_wheel {
 public:
  timer_wheel() noexcept {
    for (auto& head : slots_) head.next = head.prev = &head;
  }
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// Nodes that are set.
  size_t size() const noexcept { return size_; }

  /// Due once `advance` reaches `due`; one already past is due at the next tick. Replaces an earlier deadline.
  void set(wheel_node& node, uint64_t due) noexcept {
    clear(node);
    ++size_;
    node.due = due > now_ ? due : now_ + 1;
    auto& head = slots_[node.due % slots];
    node.prev = head.prev;
    node.next = &head;
    head.prev->next = &node;
    head.prev = &node;
  }

  void clear(wheel_node& node) noexcept {
    if (!node.linked()) return;
    --size_;
    node.prev->next = node.next;
    node.next->prev = node.prev;
    node.next = node.prev = nullptr;
  }

  uint64_t now() const noexcept { return now_; }

  /// Moves to tick `now` and calls `expired(node)` for each node due, already cleared. It may set and clear nodes.
  template <class Expired>
  void advance(uint64_t now, Expired&& expired) {
    if (now > now_ + slots) now_ = now - slots;  // a long sleep: each slot once is enough
    while (now_ < now) {
      ++now_;
      take(slots_[now_ % slots], now, expired);
    }
  }

 private:
  static constexpr size_t slots = 512;

  template <class Expired>
  void take(wheel_node& head, uint64_t now, Expired& expired) {
    // Moved to a list of its own first: `expired` may set nodes into this very slot again.
    wheel_node due;
    due.next = due.prev = &due;
    for (auto* node = head.next; node != &head;) {
      auto* following = node->next;
      if (node->due <= now) {
        clear(*node);
        ++size_;  // it stays linked until its turn
        node->prev = due.prev;
        node->next = &due;
        due.prev->next = node;
        due.prev = node;
      }
      node = following;
    }
    while (due.next != &due) {
      auto* node = due.next;
      clear(*node);
      expired(*node);
    }
    due.next = due.prev = nullptr;
  }

  std::array<wheel_node, slots> slots_;
  uint64_t now_ = 0;
  size_t size_ = 0;
};

}  // namespace tern::websocket

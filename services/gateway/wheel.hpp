// Deadlines of many connections: a hashed timer wheel (Varghese, Lauck 1987) of connection ids over coarse ticks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace tern::gateway {

/// Ids come out at or before their due tick (far ones early: the caller looks and adds them again). An entry cannot
/// be taken back: who no longer means it ignores it. Not thread-safe.
class deadline_wheel {
 public:
  explicit deadline_wheel(size_t slots = 8192) : slots_(slots) {}

  /// Returns the tick at which the id will come out.
  uint32_t add(uint64_t id, uint32_t due) {
    const auto furthest = static_cast<uint32_t>(slots_.size() - 1);
    const uint32_t ahead = static_cast<int32_t>(due - now_) <= 0 ? 1 : std::min(due - now_, furthest);
    slots_[(now_ + ahead) % slots_.size()].push_back(id);
    return now_ + ahead;
  }

  /// Moves time to `tick` and gives every id that fell due to `fire`, which may add again.
  template <class Fire>
  void advance(uint32_t tick, Fire&& fire) {
    while (static_cast<int32_t>(tick - now_) > 0) {
      ++now_;
      auto due = std::move(slots_[now_ % slots_.size()]);
      slots_[now_ % slots_.size()].clear();
      for (const uint64_t id : due) fire(id, now_);
    }
  }

  uint32_t now() const noexcept { return now_; }

 private:
  std::vector<std::vector<uint64_t>> slots_;
  uint32_t now_ = 0;
};

}  // namespace tern::gateway

// Which slots of a shard are served now: what the port, the dispatcher and the movers agree on.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "libs/base/ids.hpp"

namespace tern::storage {

/// slot_owner.state. Numbers are stored.
enum class slot_state : uint8_t {
  served = 0,
  exporting = 1,
  sealed = 2,
  moved = 3,
  importing = 4,
  open = 5,
  aborted = 6  // served again; the target is still to be cleaned
};

/// What becomes of a request.
enum class slot_door : uint8_t { open, wait, gone };

struct slot_door_range {
  slot_type first = 0;
  slot_type last = 0;  // inclusive
  slot_door door = slot_door::open;
};

/// The ranges that are not simply served, by first slot. Never changed once it is shared.
class slot_doors {
 public:
  slot_doors() = default;
  explicit slot_doors(std::vector<slot_door_range> ranges) : ranges_(std::move(ranges)) {}

  slot_door at(slot_type slot) const noexcept {
    for (const auto& one : ranges_) {
      if (slot >= one.first && slot <= one.last) return one.door;
    }
    return slot_door::open;
  }
  /// The same with another door for a range.
  slot_doors with(slot_door_range changed) const {
    std::vector<slot_door_range> out;
    for (const auto& one : ranges_) {
      if (one.last < changed.first || one.first > changed.last) {
        out.push_back(one);
        continue;
      }
      if (one.first < changed.first) out.push_back({one.first, changed.first - 1, one.door});
      if (one.last > changed.last) out.push_back({changed.last + 1, one.last, one.door});
    }
    if (changed.door != slot_door::open) out.push_back(changed);
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    return slot_doors(std::move(out));
  }
  bool empty() const noexcept { return ranges_.empty(); }

 private:
  std::vector<slot_door_range> ranges_;
};
/// Null: all is served.
using slot_doors_ptr = std::shared_ptr<const slot_doors>;

constexpr slot_door door_of(slot_state state) noexcept {
  switch (state) {
    case slot_state::sealed:
    case slot_state::importing: return slot_door::wait;
    case slot_state::moved: return slot_door::gone;
    default: return slot_door::open;
  }
}

}  // namespace tern::storage

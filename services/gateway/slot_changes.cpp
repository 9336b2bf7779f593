#include "services/gateway/slot_changes.hpp"

#include <algorithm>

#include "libs/base/ids.hpp"

namespace tern::gateway {

namespace {

/// Walks through a map from slot 0 upwards, gaps included.
class walk {
 public:
  explicit walk(const placement::range_map& map) : ranges_(map.ranges()) {}
  /// The range of `slot`, which must not go down; null in a gap. `last` becomes the last slot of which that is true.
  const placement::range* at(slot_type slot, slot_type& last) {
    while (next_ < ranges_.size() && ranges_[next_].last < slot) ++next_;
    if (next_ == ranges_.size()) return nullptr;
    const placement::range& here = ranges_[next_];
    if (here.first > slot) {
      last = std::min<slot_type>(last, here.first - 1);
      return nullptr;
    }
    last = std::min(last, here.last);
    return &here;
  }

 private:
  const std::vector<placement::range>& ranges_;
  size_t next_ = 0;
};

bool same(const placement::range* a, const placement::range* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return a->epoch == b->epoch && a->owner == b->owner;
}

}  // namespace

std::vector<placement::range> slot_changes(const placement::range_map& before, const placement::range_map& after) {
  std::vector<placement::range> out;
  walk old(before), now(after);
  for (uint64_t slot = 0; slot < slot_count;) {
    slot_type last = slot_count - 1;
    const placement::range* was = old.at(static_cast<slot_type>(slot), last);
    const placement::range* is = now.at(static_cast<slot_type>(slot), last);
    if (!same(was, is)) {
      placement::range one{static_cast<slot_type>(slot), last, is == nullptr ? "" : is->owner,
                           is == nullptr ? 0 : is->epoch};
      const bool joins = !out.empty() && out.back().last + 1 == slot && out.back().owner == one.owner &&
                         out.back().epoch == one.epoch;
      if (joins) {
        out.back().last = last;
      } else {
        out.push_back(std::move(one));
      }
    }
    slot = uint64_t{last} + 1;
  }
  return out;
}

}  // namespace tern::gateway

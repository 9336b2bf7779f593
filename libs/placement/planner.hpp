// Who should own what: pure functions from what is owned now and who is there to what should be owned.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/placement/view.hpp"

namespace tern::placement {

/// Ranges begin and end at multiples of this many slots, which bounds a map to 16,384 entries however often nodes
/// come and go.
inline constexpr slot_type unit_slots = 64;
inline constexpr size_t unit_count = slot_count / unit_slots;
inline constexpr int nobody = -1;  // no owner, or one that is no candidate

/// A node that takes ranges or shards now.
struct candidate {
  std::string name;
  std::vector<std::string> shards;  // storage: those it can serve, in order of preference
  bool restarted = false;           // it lost what it knew: what it keeps gets a new epoch
};

/// What assign_units() may not do, or not gladly; each empty or of unit_count entries.
struct unit_rules {
  std::vector<int> pinned = {};    // the candidate that has the unit whatever else is true, or nobody
  std::vector<bool> resting = {};  // only moves when no other unit of its owner can
};

/// The heart of the planner: who shall own each unit. `now`: index of the candidate that owns it, or nobody. Each
/// candidate gets the same number of units or one more (or what is pinned to it, if that is more), and no more units
/// change their owner than that takes. Doing part of it and asking again leads to the same number of changes in all.
/// O(units + candidates log candidates).
std::vector<int> assign_units(std::vector<int> now, size_t candidates, const unit_rules& rules);

/// All slots over `candidates` (unique names): each gets the same number of units or one more, and no more units
/// change their owner than that takes. What changes its owner, was unowned, or belongs to a restarted candidate gets
/// `new_epoch`, which must be higher than every epoch in `now`; the rest keeps its epoch. Without candidates nothing
/// changes: a dead owner is as good as none, and it may come back.
range_map spread(const range_map& now, const std::vector<candidate>& candidates, uint64_t new_epoch);

/// Each shard stays with its owner if that is a candidate that lists it. Otherwise it goes to the candidate listing
/// it that has the fewest shards; among equals to the one that prefers it most. Epochs as above. A shard that no
/// candidate lists stays as it is.
std::vector<shard> assign_shards(const std::vector<shard>& now, const std::vector<candidate>& candidates,
                                 uint64_t new_epoch);

/// The storage map of a new cluster: all slots evenly over the shards, in their order. Empty without shards.
range_map first_storage_map(const std::vector<std::string>& shards, uint64_t epoch);

}  // namespace tern::placement

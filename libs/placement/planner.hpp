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

/// A node that takes ranges or shards now.
struct candidate {
  std::string name;
  std::vector<std::string> shards;  // storage: those it can serve, in order of preference
  bool restarted = false;           // it lost what it knew: what it keeps gets a new epoch
};

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

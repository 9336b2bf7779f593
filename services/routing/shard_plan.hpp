// Which slots shall go from which shard to which: what an operator's order comes to. Pure functions over the storage
// map.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/result.hpp"
#include "services/routing/intents.hpp"
#include "services/routing/meta_store.hpp"

namespace tern::routing {

/// first, last (inclusive).
using slot_span = std::pair<slot_type, slot_type>;

/// Slots a shard has, and will have when all moves that go on are done.
uint64_t slots_now(const meta_state& state, const std::string& shard);
uint64_t slots_then(const meta_state& state, const intents& wanted, const std::string& shard);

/// The storage map with slots first..last of `source` given to `target`, in `epoch`. Without change when they are not
/// all source's.
placement::range_map given(const placement::range_map& map, const std::string& source, const std::string& target,
                           slot_span slots, uint64_t epoch);

/// The plans below are moves without numbers; one per range of the map. Errors are for people. Slots that are part of
/// a move that is not finished are never planned.

/// All slots there are stand for all that the source has.
/// Errors: not_found: no such shard; bad_parameter: the same shard twice, or slots that are not the source's;
/// unavailable: the target drains, or slots are part of a move.
result<std::vector<shard_move>> plan_move(const meta_state& state, const intents& wanted, const std::string& source,
                                          const std::string& target, slot_span slots);
/// The upper half of what `source` has.
result<std::vector<shard_move>> plan_split(const meta_state& state, const intents& wanted, const std::string& source,
                                           const std::string& target);
/// All slots of `shard` to the others, evenly filled. unavailable: there is no other, or slots are part of a move.
result<std::vector<shard_move>> plan_drain(const meta_state& state, const intents& wanted, const std::string& shard);
/// Each shard that does not drain gets the same number of slots or one more; no slot moves without need.
std::vector<shard_move> plan_rebalance(const meta_state& state, const intents& wanted);

/// The way back of a move that is kept: the one that replaces it.
shard_move way_back(const shard_move& kept);

}  // namespace tern::routing

// What a new map changes.
#pragma once

#include <vector>

#include "libs/placement/view.hpp"

namespace tern::gateway {

/// The slots whose owner or epoch is another one than before, as ranges of the new map in order. Slots that nobody
/// owns any more are in ranges without an owner. Ranges that were only cut or joined are not among them.
std::vector<placement::range> slot_changes(const placement::range_map& before, const placement::range_map& after);

}  // namespace tern::gateway

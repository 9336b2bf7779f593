// What work in the background on a shard's tables has in common.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "libs/sql/connection.hpp"

namespace tern::storage {

/// First and last slot of each.
using slot_ranges = std::vector<std::pair<int64_t, int64_t>>;

/// The slots that are on the move (slot_owner), also those with an image that is kept for a way back; not those that
/// have gone for good, of which nothing is left. Keeps moves from beginning or ending until the connection's
/// transaction is over.
result<slot_ranges> slots_on_the_move(sql::connection& database);

bool in_ranges(const slot_ranges& ranges, int64_t slot);

}  // namespace tern::storage

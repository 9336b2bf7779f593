// What operators want, beyond what nodes say of themselves. Kept in the meta database.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "libs/placement/moves.hpp"

namespace tern::routing {

using placement::range_kind;

/// Some slots are `target`'s as long as it is there: whole units of placement::unit_slots.
struct pin {
  range_kind kind = range_kind::sessions;
  slot_type first = 0;
  slot_type last = 0;
  std::string target;
  bool operator==(const pin&) const = default;
};

struct intents {
  std::vector<pin> pins;         // by kind and first slot, without overlaps
  std::set<std::string> drains;  // nodes that shall have no ranges, or gateways that shall have no clients
  bool operator==(const intents&) const = default;
};

/// Slots first..last are no longer kept anywhere.
void unpin(intents& in, range_kind kind, slot_type first, slot_type last);
/// They are kept by what.target, and by nobody else.
void add_pin(intents& to, const pin& what);

}  // namespace tern::routing

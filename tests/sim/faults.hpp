// Bugs that can be switched on to see that they are found.
#pragma once

#include <cstdint>
#include <string_view>

namespace tern::sim {

enum class planted : uint8_t {
  none,
  storage_forgets_keys,     // a retry is a new message
  storage_forgets_outbox,   // what was committed before a crash is not dispatched any more
  gateway_forgets_written,  // a new owner is not told what a terminal has
  deliveries_get_lost,      // an outbox entry on its way to a session node, without the stream breaking
  network_reorders,         // items of one stream overtake each other
  gateway_ignores_epochs,   // frames of whoever it was bound to, or will be, reach clients all the same
  session_loses_held,       // an entry that came while a range stood still to be handed over
  group_repeats_mid,        // two messages of a room have one place in it
  leader_publishes_early,   // maps go out before the meta database has them
};

}  // namespace tern::sim

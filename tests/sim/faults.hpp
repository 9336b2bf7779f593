// Bugs that can be switched on to see that they are found.
#pragma once

#include <cstdint>
#include <string_view>

namespace tern::sim {

enum class planted : uint8_t {
  none,
  gateway_ignores_generations,  // frames of a stream that is gone are taken
  storage_forgets_keys,         // a retry after a restart is a new message
  storage_forgets_outbox,       // what was committed before a crash is not dispatched any more
  session_loses_a_frame,        // an inbound frame is confirmed and dropped now and then
  gateway_forgets_unacked,      // a new owner is not told what was not acknowledged
  network_reorders,             // items of one stream overtake each other
};

}  // namespace tern::sim

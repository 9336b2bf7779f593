// The room actor: one per room somebody on line is a member of, that has work, or had a moment ago.
#pragma once

#include "services/group/actors/room_state.hpp"

namespace tern::group {

/// Handlers: mail (events of links), answer (of storage), poke (of the wheel). Leaves by itself when idle.
caf::behavior room_behavior(actor::stateful<room_state>* self, const environment* env, room_id room, uint64_t epoch);

}  // namespace tern::group

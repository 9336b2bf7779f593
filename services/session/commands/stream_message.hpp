// MESSAGE (90) with odType 5: to the terminals on line now, stored nowhere. Flow: docs/flows/message.md.
#pragma once

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

inline constexpr int8_t stream_od_type = 5;

/// To an account, to one member of a room, or to a room. Nothing is answered but an error.
void run_stream_message(session_state& state, const origin& from, wire::tim_message& message);

}  // namespace tern::session

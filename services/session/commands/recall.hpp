// REVOKEMESSAGE and BURNMESSAGE have this in common: a stored message goes, and everybody concerned is told.
#pragma once

#include <string>

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// odType of a recall, as clients see it.
enum class recall_kind : int8_t { revoke = 2, burn = 3 };

/// Of a message to the account in toTid.
void recall_from_account(session_state& state, const origin& from, recall_kind what, wire::tim_message& message);
/// Of one's own message to the room in roomTid.
void recall_from_room(session_state& state, const origin& from, wire::tim_message& message);

}  // namespace tern::session

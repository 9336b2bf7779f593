// MESSAGE (90): to an account, to a room, or to one member of a room. Flow: docs/flows/message.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

void run_message(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

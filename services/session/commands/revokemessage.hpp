// REVOKEMESSAGE (92): the author takes a message back. Flow: docs/flows/revokemessage.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

void run_revokemessage(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

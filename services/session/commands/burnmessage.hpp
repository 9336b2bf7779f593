// BURNMESSAGE (93): the recipient of a message has it deleted, after reading it. Flow: docs/flows/burnmessage.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

void run_burnmessage(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

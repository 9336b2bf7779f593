// PULLMESSAGE (21): history, newest first. Flow: docs/flows/pullmessage.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

void run_pullmessage(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

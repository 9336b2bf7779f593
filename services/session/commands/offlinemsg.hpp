// OFFLINEMSG (17): asks for what was not delivered. Flow: docs/flows/offlinemsg.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

void run_offlinemsg(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

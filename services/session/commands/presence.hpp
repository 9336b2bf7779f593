// PRESENCE (91): a state passed on to friends on line, stored nowhere. Flow: docs/flows/presence.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

void run_presence(session_state& state, const origin& from, std::string payload);
/// BROADPRESENCE (19): the same, to all friends when it names nobody. Flow: docs/flows/broadpresence.md.
void run_broadpresence(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

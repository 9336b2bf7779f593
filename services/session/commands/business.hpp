// BUSINESS (41): roster and relations here, everything about rooms at the room's owner. Flow: docs/flows/business.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

void run_business(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

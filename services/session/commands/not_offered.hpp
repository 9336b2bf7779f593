// Commands of the protocol that this server does not offer: answered with 4107 in the form every error has.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

void run_not_offered(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

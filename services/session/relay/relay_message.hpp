// MESSAGE (90) in no-data mode: passed on to the terminals there are, kept nowhere. Flow: docs/flows/no-data.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// What is offered without storage; all else is errc::bad_interface.
bool relayed(wire::frame_type type) noexcept;

void run_relay_message(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

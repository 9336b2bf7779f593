// NODES 6 and 7: the fields given replace those of a profile.
#pragma once

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// 6: the caller's own profile, whatever the key of the one entry.
void change_user(session_state& state, const origin& from, wire::tim_nodes& req);
/// 7: that of the room which is the key of the one entry.
void change_room_profile(session_state& state, const origin& from, wire::tim_nodes& req);

}  // namespace tern::session

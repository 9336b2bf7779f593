// NODES 4 and 5: profiles of many accounts or rooms, gathered over the shards they are on.
#pragma once

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// 4: accounts of the caller's domain; others are left out.
void list_users(session_state& state, const origin& from, const wire::tim_nodes& req);
/// 5: rooms of the caller's domain that are not cancelled; others are left out.
void list_room_profiles(session_state& state, const origin& from, const wire::tim_nodes& req);

}  // namespace tern::session

// BUSINESS 1, 2, 3, 18, 19, 20: lists, read from storage.
#pragma once

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// 1: friends; 18: accounts the caller blocks.
void list_relations(session_state& state, const origin& from, int32_t what);
/// 2: rooms the caller is in; 19: rooms it refuses.
void list_own_rooms(session_state& state, const origin& from, int32_t what);
/// 3: members of a room; 20: who may not join it.
void list_room(session_state& state, const origin& from, int32_t what, const wire::tim_req& req);

}  // namespace tern::session

// BUSINESS 8, 9, 11 to 17: rooms and who is in them. The owner of the room orders the changes, storage decides them.
#pragma once

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

void create_room(session_state& state, const origin& from, const wire::tim_req& req);
void change_room(session_state& state, const origin& from, int32_t what, const wire::tim_req& req);

}  // namespace tern::session

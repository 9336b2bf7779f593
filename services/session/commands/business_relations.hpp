// BUSINESS 4, 6, 7: friendship and blocks.
#pragma once

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

void change_relation(session_state& state, const origin& from, int32_t what, const wire::tim_req& req);

}  // namespace tern::session

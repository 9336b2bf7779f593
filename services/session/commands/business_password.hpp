// BUSINESS 21: a new password.
#pragma once

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// The account's other terminals are logged out and its tokens end.
void run_password_change(session_state& state, const origin& from, const wire::tim_req& req);

}  // namespace tern::session

// The session actor: one per account that has terminals, deliveries on their way, or had them a moment ago.
#pragma once

#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// Handlers: mail (events of links), answer (of storage or group), poke (of the wheel). Leaves by itself when idle.
caf::behavior session_behavior(actor::stateful<session_state>* self, const environment* env, account_id account);

}  // namespace tern::session

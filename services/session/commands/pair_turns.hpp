// The order of messages to one account when one of them must wait for a permit before it can be appended.
#pragma once

#include <functional>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// True while what comes for `other` must go through in_turn().
bool turn_taken(session_state& state, account_id other);
/// Runs `step` now, or in its turn when the turn is held.
void in_turn(session_state& state, account_id other, std::function<void(session_state&)> step);
/// Called by a step: what comes after it waits until release_turn().
void hold_turn(session_state& state, account_id other);
void release_turn(session_state& state, account_id other);

}  // namespace tern::session

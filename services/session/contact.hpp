// The other account of a command: from its printable node to an account of the same domain that exists.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// The account of a node, or the error a client gets: bad_parameter when absent, bad_account when malformed,
/// permission_denied when it is the caller's own.
result<account_id> other_account(const session_state& state, std::optional<std::string_view> node);

/// Calls `then` in the actor with errc::ok, bad_account (unknown or of another domain) or what storage said.
void check_account(session_state& state, account_id other, std::function<void(session_state&, errc)> then);

}  // namespace tern::session

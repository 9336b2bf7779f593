// What a command is about: from printable nodes to rooms, and to accounts of the same domain that exist.
#pragma once

#include <functional>
#include <optional>
#include <string_view>

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// The account of a node, or the error a client gets: bad_parameter when absent, bad_account when malformed,
/// permission_denied when it is the caller's own.
result<account_id> other_account(const session_state& state, std::optional<std::string_view> node);

/// The room of a node: bad_parameter when absent, `unreadable` when malformed (the command says so of any room that
/// is not there).
result<room_id> room_of(std::optional<std::string_view> node, errc unreadable);

/// The place names another domain than the caller's.
bool foreign(const session_state& state, const wire::tid& place);

/// Calls `then` in the actor with errc::ok, bad_account (unknown or of another domain) or what storage said.
void check_account(session_state& state, account_id other, std::function<void(session_state&, errc)> then);

}  // namespace tern::session

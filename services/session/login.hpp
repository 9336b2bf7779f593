// Logins and account calls: what happens before there is a session. Nothing is kept here; every step runs where the
// answer of storage arrives.
#pragma once

#include "services/session/environment.hpp"
#include "services/session/links/streams.hpp"

namespace tern::session {

/// Checks the password or token at the shard of the login's slot, then hands the terminal to the account's session
/// actor (which applies the device limit and answers), or answers with a redirect when another node owns the account.
void start_login(const environment& env, gateway_ptr from, v1::Login login);

/// REGISTER and TOKEN: AccountCreate or TokenIssue at the shard of the slot; AccountResult has the node or token.
void start_account_call(const environment& env, gateway_ptr from, v1::AccountCall call);

}  // namespace tern::session

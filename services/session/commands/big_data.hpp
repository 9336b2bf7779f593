// BIGSTRING (95) and BIGBINARY (96): raw bytes for the terminals of an account that are on line now, stored nowhere.
// Flows: docs/flows/bigstring.md, docs/flows/bigbinary.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// `payload`: node of the recipient, separator, data. Rights and errors are those of MESSAGE odType 5 to an account.
void run_bigstring(session_state& state, const origin& from, std::string payload);
void run_bigbinary(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

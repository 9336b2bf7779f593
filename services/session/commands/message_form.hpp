// What of a client's message is stored, and the key that finds a repeat.
#pragma once

#include <string>

#include "libs/wire/structs.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// A body of the frame limit with every other field at its limit.
inline constexpr size_t max_stored_bytes = 128 << 10;

/// 'i' and the client's id, or the position of the frame: a replay after a broken link is recognised either way.
std::string key_of(session_state& state, const origin& from, const wire::tim_message& message);

/// Thrift compact without mid and timestamp. The sender is who is logged on here, whatever the client wrote; an id is
/// given if absent; toList is dropped. `message` is changed accordingly; its fromTid lives as long as the terminal.
std::string stored_form(session_state& state, const origin& from, wire::tim_message& message);

/// The same as clients get it, for a message that is stored nowhere: with a timestamp, and no mid.
std::string live_form(session_state& state, const origin& from, wire::tim_message& message);

/// When the message was accepted, for latency histograms.
int64_t accepted_ns(const session_state& state, const origin& from);

}  // namespace tern::session

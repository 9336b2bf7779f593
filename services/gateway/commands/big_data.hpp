// BIGSTRING, BIGBINARY and BIGBINARYSTREAM: put together here from one or many WebSocket messages, and passed on
// whole.
#pragma once

#include <string_view>

#include "libs/wire/frame.hpp"

namespace tern::gateway {
class client;
}
namespace tern::gateway::commands {

/// The first message of a frame. What cannot be right, is too large or has no node is answered 4114, too much under
/// way or in memory 5104; once each, and the rest of the frame is passed over. A complete frame goes to the session
/// owner, or into its virtual room.
void big_data(client& from, const wire::inbound_frame& frame);

/// The next message of the frame that is coming in (client::takes_big_data).
void more_big_data(client& from, std::string_view bytes);

/// Nothing of it has come for too long: 4114, unless it was refused before. What comes now is a new frame.
void stalled_big_data(client& from);

/// A frame of a type that is switched off: passed over whole. False: its header cannot be right, and was answered.
bool pass_over_big_data(client& from, const wire::inbound_frame& frame);

}  // namespace tern::gateway::commands

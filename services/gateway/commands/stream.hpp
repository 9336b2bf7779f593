// STREAM: a frame for everybody who is subscribed to a virtual room.
#pragma once

#include "libs/wire/frame.hpp"

namespace tern::gateway {
class client;
}
namespace tern::gateway::commands {

/// Sends the TimStream's body to the owner of the room (live/push.hpp says what is answered). A payload that is no
/// TimStream is answered 4113.
void stream(client& from, const wire::inbound_frame& frame);

}  // namespace tern::gateway::commands

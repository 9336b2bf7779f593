// PING: echoed at the gateway; it keeps a connection from being idle.
#pragma once

#include "libs/wire/frame.hpp"

namespace tern::gateway {
class client;
}
namespace tern::gateway::commands {

/// Answers PING without payload, whatever payload came. Allowed before login.
void ping(client& from, const wire::inbound_frame& frame);

}  // namespace tern::gateway::commands

// ACK: the client acknowledges a delivery.
#pragma once

#include "libs/wire/frame.hpp"

namespace tern::gateway {
class client;
}
namespace tern::gateway::commands {

/// The payload is exactly 4 bytes: the sync id of a frame in this connection's own window. Anything else counts as
/// bogus and is not answered.
void ack(client& from, const wire::inbound_frame& frame);

}  // namespace tern::gateway::commands

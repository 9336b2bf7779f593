#include "services/gateway/commands/ping.hpp"

#include "services/gateway/client.hpp"

namespace tern::gateway::commands {

void ping(client& from, const wire::inbound_frame& frame) {
  from.shared().metrics.command(static_cast<uint8_t>(frame.type), frame.enc, outcome::ok);
  from.send(wire::frame_type::ping, {});
}

}  // namespace tern::gateway::commands

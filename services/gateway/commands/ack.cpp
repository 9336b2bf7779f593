#include "services/gateway/commands/ack.hpp"

#include "services/gateway/client.hpp"

namespace tern::gateway::commands {

void ack(client& from, const wire::inbound_frame& frame) {
  const auto sync_id = wire::parse_sync_id(frame.payload);
  from.shared().metrics.command(static_cast<uint8_t>(frame.type), frame.enc,
                                sync_id ? outcome::ok : outcome::malformed);
  if (sync_id) {
    from.acknowledge(*sync_id);
  } else {
    from.bogus_ack();
  }
}

}  // namespace tern::gateway::commands

#include "services/gateway/commands/stream.hpp"

#include <string>

#include "libs/wire/bounded.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/live/push.hpp"

namespace tern::gateway::commands {

void stream(client& from, const wire::inbound_frame& frame) {
  const auto type = static_cast<uint8_t>(frame.type);
  wire::arena& memory = from.where().scratch();
  memory.clear();
  wire::tim_stream value;
  const errc problem = wire::decode_bounded(frame.enc, frame.payload, memory, value);
  if (problem != errc::ok) {
    from.bad_frame(type, frame.enc, problem);
    return;
  }
  from.shared().metrics.command(type, frame.enc, outcome::ok);
  live::push_live(from, type, value.vnode, std::string(value.body.value_or("")), value.id,
                  value.dtype ? *value.dtype : live::no_dtype);
}

}  // namespace tern::gateway::commands

// The way of a frame from a client into a virtual room: what STREAM and BIGBINARYSTREAM do once they are decoded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tern::gateway {
class client;
}
namespace tern::gateway::live {

/// A push without TimStream.dtype (an int8), which viewers get without it, too.
inline constexpr int32_t no_dtype = 256;

/// Sends `body` to the owner of the virtual room `vroom_node`. Nothing is answered when it is taken; else ACK ok
/// false with timType `frame_type` and n = the node as given: 4104 for what is no node of a virtual room, later 4105
/// or 4109 by the owner. Dropped without an answer, and counted, while the gateway is overloaded or the room has no
/// owner for longer than gateway.live.command_timeout_ms. `frame_type`: 94 or 97. `id` 0: viewers see the room's own
/// number.
void push_live(client& from, uint8_t frame_type, std::string_view vroom_node, std::string body, int64_t id,
               int32_t dtype);

}  // namespace tern::gateway::live

// The client commands the gateway has work with, one file each; everything else is forwarded to the session owner.
// This list is what dispatch is built from.
#pragma once

#include "libs/wire/frame.hpp"
#include "services/gateway/commands/ack.hpp"
#include "services/gateway/commands/auth.hpp"
#include "services/gateway/commands/big_data.hpp"
#include "services/gateway/commands/forward.hpp"
#include "services/gateway/commands/ping.hpp"
#include "services/gateway/commands/register.hpp"
#include "services/gateway/commands/stream.hpp"
#include "services/gateway/commands/token.hpp"
#include "services/gateway/commands/vroom.hpp"

namespace tern::gateway::commands {

/// Handles a frame of a WebSocket connection on its io thread.
using socket_handler = void (*)(client&, const wire::inbound_frame&);
struct socket_command {
  wire::frame_type type;
  socket_handler handle;
};
inline constexpr socket_command socket_commands[] = {
    {wire::frame_type::ack, ack},
    {wire::frame_type::ping, ping},
    {wire::frame_type::auth, auth},
    {wire::frame_type::bigstring, big_data},
    {wire::frame_type::bigbinary, big_data},
    {wire::frame_type::bigbinarystream, big_data},
    {wire::frame_type::vroom, vroom},
    {wire::frame_type::stream, stream},
};

/// Handles a frame of POST /tim2 on an io thread.
using http_handler = void (*)(lane&, http_frame);
struct http_command {
  wire::frame_type type;
  http_handler handle;
};
inline constexpr http_command http_commands[] = {
    {wire::frame_type::reg, register_account},
    {wire::frame_type::token, token},
};

/// The handler of a frame; forward() for commands the gateway has no work with.
socket_handler handler_of(wire::frame_type type) noexcept;
/// nullptr for what POST /tim2 does not take.
http_handler http_handler_of(wire::frame_type type) noexcept;

}  // namespace tern::gateway::commands

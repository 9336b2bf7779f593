// REGISTER (POST /tim2): creates an account.
#pragma once

#include <string>
#include <string_view>

#include "libs/websocket/server.hpp"
#include "libs/wire/frame.hpp"

namespace tern::gateway {
class lane;
}
namespace tern::gateway::commands {

/// A frame of POST /tim2 and how to answer it. The views live during the call of the handler only.
struct http_frame {
  wire::inbound_frame frame;
  std::string_view address;  // of the caller
  std::string origin;        // to be named in the answer, may be empty
  websocket::reply_function reply;
};

/// Answers TimAck{n = node}, 4101 when the name is taken, 4104 for a name, password or domain that cannot be one.
void register_account(lane& where, http_frame call);

/// The common half of REGISTER and TOKEN: reads the TimAuth and sends the call. `refused` is the code for a name or
/// password that cannot be right.
void start_account_call(lane& where, http_frame call, errc refused);

}  // namespace tern::gateway::commands

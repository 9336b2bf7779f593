// Every command the gateway has no work with: checked, brought to Thrift compact, numbered, sent to the session
// owner.
#pragma once

#include "libs/wire/frame.hpp"

namespace tern::gateway {
class client;
}
namespace tern::gateway::commands {

/// A payload that is not the command's struct is answered 4113; a command that only servers send, that belongs to
/// POST /tim2, 4107.
/// When too much is under way: 5104, and nothing is forwarded.
void forward(client& from, const wire::inbound_frame& frame);

/// A command switched off by configuration: 4107. A big-data frame is passed over whole.
void switched_off(client& from, const wire::inbound_frame& frame);

}  // namespace tern::gateway::commands

// AUTH: logs the connection on, by name and password or by token.
#pragma once

#include "libs/wire/frame.hpp"

namespace tern::gateway {
class client;
}
namespace tern::gateway::commands {

/// Makes a Login of the TimAuth and sends it to the session node that owns the account's slot. A second AUTH of the
/// same account on a connection that is logged in is answered ok again, another account's is refused.
void auth(client& from, const wire::inbound_frame& frame);

}  // namespace tern::gateway::commands

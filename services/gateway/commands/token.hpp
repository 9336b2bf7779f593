// TOKEN (POST /tim2): a one-time login token for a name and password.
#pragma once

#include "services/gateway/commands/register.hpp"

namespace tern::gateway::commands {

/// Answers TimAck{n = token}, or 4102 for a wrong name or password.
void token(lane& where, http_frame call);

}  // namespace tern::gateway::commands

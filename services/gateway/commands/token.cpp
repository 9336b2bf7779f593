#include "services/gateway/commands/token.hpp"

#include <utility>

namespace tern::gateway::commands {

void token(lane& where, http_frame call) { start_account_call(where, std::move(call), errc::no_pass); }

}  // namespace tern::gateway::commands

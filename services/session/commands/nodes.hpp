// NODES (42): profiles of accounts and rooms, read and changed. Flow: docs/flows/nodes.md.
#pragma once

#include <string>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// TimNodes.ntype of requests.
enum nodes_type : int32_t { user_info = 4, room_info = 5, modify_user = 6, modify_room = 7 };

void run_nodes(session_state& state, const origin& from, std::string payload);

}  // namespace tern::session

#include "services/session/commands/nodes.hpp"

#include "services/session/commands/answers.hpp"
#include "services/session/commands/nodes_change.hpp"
#include "services/session/commands/nodes_profiles.hpp"

namespace tern::session {
void run_nodes(session_state& state, const origin& from, std::string payload) {
  wire::arena memory;
  wire::tim_nodes req;
  if (const errc problem = decode_request(state, payload, memory, req); problem != errc::ok)
    return state.refuse(from, problem);
  switch (req.ntype) {
    case user_info: return list_users(state, from, req);
    case room_info: return list_room_profiles(state, from, req);
    case modify_user: return change_user(state, from, req);
    case modify_room: return change_room_profile(state, from, req);
    default: return state.refuse(from, errc::bad_interface);
  }
}

}  // namespace tern::session

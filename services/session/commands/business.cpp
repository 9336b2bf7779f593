#include "services/session/commands/business.hpp"

#include "services/session/commands/answers.hpp"
#include "services/session/commands/business_lists.hpp"
#include "services/session/commands/business_password.hpp"
#include "services/session/commands/business_relations.hpp"
#include "services/session/commands/business_rooms.hpp"

namespace tern::session {

void run_business(session_state& state, const origin& from, std::string payload) {
  wire::arena memory;
  wire::tim_req req;
  if (const errc problem = decode_request(state, payload, memory, req); problem != errc::ok)
    return state.refuse(from, problem);
  if (!req.rtype) return state.refuse(from, errc::bad_parameter);
  switch (*req.rtype) {
    case list_roster:
    case list_blocked: return list_relations(state, from, *req.rtype);
    case list_rooms:
    case list_refused_rooms: return list_own_rooms(state, from, *req.rtype);
    case list_members:
    case list_barred: return list_room(state, from, *req.rtype, req);
    case add_friend:
    case remove_friend:
    case block_user: return change_relation(state, from, *req.rtype, req);
    case new_room: return create_room(state, from, req);
    case join_room:
    case refuse_applicant:
    case pull_in:
    case kick:
    case block_room:
    case bar_member:
    case leave_room:
    case cancel_room: return change_room(state, from, *req.rtype, req);
    case change_password: return run_password_change(state, from, req);
    default: return state.refuse(from, errc::bad_interface);
  }
}

}  // namespace tern::session

#include "services/session/commands/revokemessage.hpp"

#include "services/session/commands/answers.hpp"
#include "services/session/commands/recall.hpp"

namespace tern::session {

void run_revokemessage(session_state& state, const origin& from, std::string payload) {
  wire::arena memory;
  wire::tim_message message;
  if (const errc problem = decode_request(state, payload, memory, message); problem != errc::ok)
    return state.refuse(from, problem);
  const bool one_place = message.to_tid.has_value() != message.room_tid.has_value();
  if (!one_place || message.mid.value_or(0) <= 0) return state.refuse(from, errc::bad_parameter);
  if (message.room_tid) return recall_from_room(state, from, message);
  recall_from_account(state, from, recall_kind::revoke, message);
}

}  // namespace tern::session

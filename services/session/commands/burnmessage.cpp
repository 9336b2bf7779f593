#include "services/session/commands/burnmessage.hpp"

#include "services/session/commands/answers.hpp"
#include "services/session/commands/recall.hpp"

namespace tern::session {

void run_burnmessage(session_state& state, const origin& from, std::string payload) {
  wire::arena memory;
  wire::tim_message message;
  if (const errc problem = decode_request(state, payload, memory, message); problem != errc::ok)
    return state.refuse(from, problem);
  if (!message.to_tid || message.room_tid || message.mid.value_or(0) <= 0)
    return state.refuse(from, errc::bad_parameter);
  recall_from_account(state, from, recall_kind::burn, message);
}

}  // namespace tern::session

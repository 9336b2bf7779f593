#include "services/session/commands/not_offered.hpp"

namespace tern::session {

void run_not_offered(session_state& state, const origin& from, std::string) {
  state.refuse(from, errc::bad_interface);
}

}  // namespace tern::session

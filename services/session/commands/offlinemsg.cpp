#include "services/session/commands/offlinemsg.hpp"

namespace tern::session {

void run_offlinemsg(session_state& state, const origin& from, std::string) {
  // Ended at once: a drain lasts as long as the client's acknowledgements, and must not hold back its commands.
  state.finish(from);
  if (state.find(from) != nullptr) state.start_drain(from);
}

}  // namespace tern::session

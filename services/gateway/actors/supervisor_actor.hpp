// The supervisor: map watch, links to session nodes, pace of a drain.
#pragma once

#include <memory>

#include "libs/actor/actor.hpp"
#include "services/gateway/actors.hpp"
#include "services/gateway/links.hpp"
#include "services/gateway/live/hub.hpp"

namespace tern::gateway {

struct supervisor_state {
  static inline const char* name = "gateway_supervisor";

  std::unique_ptr<session_links> links;
  live::hub* live = nullptr;
  std::unique_ptr<drainer> drain;
  bool pacing = false;  // a step of the drain is on its way
};

/// Makes the supervisor. `shared`, `network` and `rooms` outlive it.
caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, core* shared, rpc::network* network,
                                  const rpc::peer& who, const lane_list& lanes, live::hub* rooms,
                                  const drainer::port& sockets);

}  // namespace tern::gateway

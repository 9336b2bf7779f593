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

  /// Clients each lane closes per step, so that all lanes together keep the configured rate; `carry` is what rounding
  /// leaves for the next step.
  size_t share();
  /// Closes one step's share of clients. True while connections are left.
  bool pace();

  core* shared = nullptr;
  lane_list lanes;
  std::unique_ptr<session_links> links;
  live::hub* live = nullptr;
  std::shared_ptr<drain_progress> drain;
  double carry = 0;
};

/// Makes the supervisor. `shared`, `network` and `rooms` outlive it.
caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, core* shared, rpc::network* network,
                                  const rpc::peer& who, const lane_list& lanes, live::hub* rooms);

}  // namespace tern::gateway

// The actor of the gateway. There is one: the data plane is on the io threads (docs/adr/0002-gateway-io-threads.md).
#pragma once

#include <caf/all.hpp>
#include <memory>

#include "libs/placement/view.hpp"
#include "services/gateway/drain.hpp"

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::placement::snapshot_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(std::shared_ptr<tern::gateway::drain_progress>)

namespace tern::gateway {

// What the supervisor (actors/supervisor_actor.hpp) takes:

/// (map_atom, snapshot_ptr): a newer map: links to new session nodes, an end to those of nodes that are gone, and the
/// map for all lanes.
using map_atom = caf::atom_constant<caf::atom("gw map")>;
/// (drain_atom, shared_ptr<drain_progress>): starts closing clients, or goes on by another limit.
using drain_atom = caf::atom_constant<caf::atom("gw drain")>;
/// (undrain_atom): the drain is off.
using undrain_atom = caf::atom_constant<caf::atom("gw undrain")>;
/// (pace_atom): one step of the drain, sent to itself.
using pace_atom = caf::atom_constant<caf::atom("gw pace")>;
/// (quit_atom): ends all links and the actor.
using quit_atom = caf::atom_constant<caf::atom("gw quit")>;

}  // namespace tern::gateway

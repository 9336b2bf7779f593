// The composition of a routing node: meta actor, placement actor, Join streams.
#pragma once

#include <memory>

#include "libs/app/service.hpp"
#include "services/routing/config.hpp"

namespace tern::routing {

/// `with` outlives the service. start() waits up to 3 s until it leads and has the maps, or knows who leads
/// (condition "routing.maps"); when the meta database cannot be reached by then it goes on trying, and nodes are sent
/// away.
std::unique_ptr<app::service> make_routing_service(app::context& with, const routing_config& options);

}  // namespace tern::routing

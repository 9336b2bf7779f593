// The Join streams of nodes: what arrives is handed to the placement actor.
#pragma once

#include <atomic>
#include <memory>

#include "services/routing/actors.hpp"

namespace tern::routing {

/// Refuses streams until `ready`: a node must not hear of maps that are not loaded yet.
rpc::accept_function<rpc::join_stream> make_join_acceptor(caf::actor placement,
                                                          std::shared_ptr<const std::atomic<bool>> ready);

}  // namespace tern::routing

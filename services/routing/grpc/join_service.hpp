// The Join streams of nodes and the Control streams of operators: what arrives is handed to the placement actor.
#pragma once

#include "services/routing/actors.hpp"

namespace tern::routing {

rpc::accept_function<rpc::join_stream> make_join_acceptor(caf::actor placement);
rpc::accept_function<rpc::control_stream> make_control_acceptor(caf::actor placement);

}  // namespace tern::routing

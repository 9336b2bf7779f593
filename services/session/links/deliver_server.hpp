// The server side of Deliver: outbox entries of storage dispatchers to the recipients' actors.
#pragma once

#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/session/environment.hpp"

namespace tern::session {

rpc::accept_function<rpc::deliver_stream> deliver_acceptor(const environment& env);

}  // namespace tern::session

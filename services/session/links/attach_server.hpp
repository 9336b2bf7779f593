// The server side of Attach: one handler per gateway stream. Sorts items by account and passes them on; owns nothing.
#pragma once

#include <functional>
#include <memory>

#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/session/environment.hpp"
#include "services/session/links/streams.hpp"

namespace tern::session {

/// Told when a gateway's stream begins and ends (transport threads; must not block).
using stream_watch = std::function<void(const gateway_ptr& stream, bool up)>;

rpc::accept_function<rpc::attach_stream> attach_acceptor(const environment& env, stream_watch watch);

}  // namespace tern::session

// The server side of Relay: checks who owns each virtual room and posts its requests to the room's actor.
#pragma once

#include <functional>

#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/group/environment.hpp"
#include "services/group/live/streams.hpp"

namespace tern::group::live {

/// Told of the end of each stream; called on a transport thread.
using gateway_watch = std::function<void(const gateway_ptr& stream)>;

/// `env` outlives the streams. Commands that are not ours, or too much, are answered at once (wrong_owner, overload);
/// pushes that are not ours are refused, pushes that are too much are dropped and counted.
rpc::accept_function<rpc::live_stream> relay_acceptor(const environment& env, gateway_watch gone);

}  // namespace tern::group::live

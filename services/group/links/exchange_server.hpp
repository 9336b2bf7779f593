// The server side of Exchange: checks who owns each room and posts its requests to the room's actor.
#pragma once

#include <functional>

#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/group/environment.hpp"
#include "services/group/links/streams.hpp"

namespace tern::group {

/// Told of the end of each stream; called on a transport thread.
using stream_watch = std::function<void(const session_ptr& stream)>;

/// `env` outlives the streams. What is not ours, or too much, is answered at once (wrong_owner, overload).
rpc::accept_function<rpc::group_stream> exchange_acceptor(const environment& env, stream_watch gone);

}  // namespace tern::group

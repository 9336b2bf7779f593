// The server side of Notify, and the local half of it: items to the actors of accounts that are here.
#pragma once

#include <vector>

#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/session/environment.hpp"

namespace tern::session {

rpc::accept_function<rpc::peer_stream> peer_acceptor(const environment& env);

/// One mail per account, whatever the number of items; accounts without an actor are off line and left out. Items of
/// one sender stay in order.
void deliver_here(const environment& env, std::vector<v1::PeerItem>& items);

}  // namespace tern::session

// The server side of the Work stream: steps of erasures that operators order.
#pragma once

#include <memory>

#include "libs/rpc/erasure_stream.hpp"
#include "libs/rpc/network.hpp"
#include "services/storage/shard_slot.hpp"

namespace tern::storage {

/// For network::serve<erasure_stream>. Only ternctl is let in (with TLS its certificate says so). A step runs on a
/// reader of its shard, on a connection of its own; a shard that this node does not serve now is answered
/// wrong_owner.
rpc::accept_function<rpc::erasure_stream> make_erasure_acceptor(std::shared_ptr<const shard_slots> shards,
                                                                const clock& time);

}  // namespace tern::storage

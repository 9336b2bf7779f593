// The server side of the Exchange stream: session nodes' requests to the ports of their shards.
#pragma once

#include <memory>

#include "libs/placement/view.hpp"
#include "libs/rpc/streams.hpp"
#include "services/storage/shard_slot.hpp"

namespace tern::storage {

/// For network::serve<storage_stream>. Requests for shards this node is not configured for are answered wrong_owner,
/// cursors of accounts that `cluster` gives to another session node unavailable. References outlive the network.
rpc::accept_function<rpc::storage_stream> make_storage_acceptor(std::shared_ptr<const shard_slots> shards,
                                                                std::shared_ptr<storage_metrics> metrics,
                                                                const placement::view& cluster, const clock& time);

}  // namespace tern::storage

// What operators ask of shards and of moves between them. No I/O.
#pragma once

#include <string>

#include "services/routing/cluster.hpp"

namespace tern::routing::v1 {
class ControlReply;
class ControlRequest;
class Status;
}  // namespace tern::routing::v1

namespace tern::routing {

/// True: the request is about shards, and answered. A ShardAdd that is not refused is answered when
/// cluster::added(request.shard_add().name()) says so.
bool answer_of_shards(cluster& at, const v1::ControlRequest& request, v1::ControlReply& reply);

void fill_shards(const cluster& at, v1::Status& status);

}  // namespace tern::routing

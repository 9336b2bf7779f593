// What operators ask of the leader, and the answers: the requests of the Control stream, over a cluster. No I/O.
#pragma once

#include <string>

#include "services/routing/cluster.hpp"

namespace tern::routing::v1 {
class ControlReply;
class ControlRequest;
class Status;
}  // namespace tern::routing::v1

namespace tern::routing {

/// Does what the request says to `at` (its intents, its rests) and says what will come of it. Errors are for people:
/// bad_parameter: it makes no sense; not_found: no such node; unavailable: not as things are. StatusWanted is not
/// answered here: see fill().
void answer(cluster& at, const v1::ControlRequest& request, v1::ControlReply& reply);

/// Everything there is to know. `leader`: this node, which leads since term `term`.
void fill(const cluster& at, const clock& time, uint64_t term, v1::Status& status);

/// joining, up, draining, drained, silent, dead.
std::string state_of(const cluster& at, const placement::membership_table::member& who, clock::time_point now);

}  // namespace tern::routing

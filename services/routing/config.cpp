#include "services/routing/config.hpp"

#include <algorithm>
#include <set>

#include "libs/config/schema.hpp"

namespace tern::routing {

void declare(config::schema& into, routing_config& options) {
  into.add("routing.meta.dsn", options.meta_dsn,
           "The meta database, where the maps are kept: sqlite:PATH or a PostgreSQL connection string");
  into.add("routing.meta.import_dsn", options.import_dsn,
           "A meta database, of a ternd say, that nobody uses any more: at the very first start its shards and the "
           "storage "
           "map are taken over from it. Empty: none");
  into.add("routing.shards", options.shards,
           "Names of the storage shards; at the very first start all slots are spread over them in this order");
  into.add("routing.lease_ms", options.lease, "A node that was not heard of for so long is dead", {500, 600'000});
  into.add("routing.suspect_ms", options.suspect,
           "A node whose connection broke and which stays away for so long is dead", {0, 600'000});
  into.add("routing.settle_ms", options.settle,
           "A new node waits for so long before ranges move to it, so that nodes starting together share one move",
           {0, 60'000});
  into.add("routing.move_sessions", options.move_sessions,
           "A range moves in pieces of about so many sessions or rooms", {1, 1'000'000});
  into.add("routing.moves_per_node", options.moves_per_node,
           "Pieces that leave a node at once, and that come to a node at once", {1, 100});
  into.add("routing.move_rest_ms", options.move_rest,
           "A range that has moved stays where it is for so long, unless its node drains or dies", {0, 3'600'000});
  into.add("routing.move_timeout_ms", options.move_timeout,
           "An order to hand a range over that is not answered for so long is sent again", {100, 60'000});
  into.add("routing.leader_lease_ms", options.leader_lease,
           "Of several routing replicas another one leads when the leader was not heard of for so long",
           {400, 60'000});
  into.add(
      "routing.shard_keep_ms", options.shard_keep,
      "After a move between shards the source keeps what it had for so long, so that the move can be rolled back",
      {0, 2'592'000'000});
  into.add("routing.control.socket", options.control_socket,
           "Path of a unix socket where ternctl is served beside the node's own address, for its owner only: what a "
           "ternd needs for it. Empty: none");
}

std::vector<std::string> complaints(const routing_config& options) {
  std::vector<std::string> found;
  if (options.meta_dsn.empty()) found.emplace_back("routing.meta.dsn: needed");
  if (options.shards.empty()) found.emplace_back("routing.shards: at least one name is needed");
  std::set<std::string> seen;
  for (const auto& name : options.shards) {
    const bool plain = !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
    if (!plain) found.push_back("routing.shards: '" + name + "' is not a name of a-z, 0-9, _ and -");
    if (!seen.insert(name).second) found.push_back("routing.shards: '" + name + "' comes twice");
  }
  return found;
}

}  // namespace tern::routing

// Options of the routing service: `routing.<area>.<name>`.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace tern::config {
class schema;
}

namespace tern::routing {

struct routing_config {
  std::string meta_dsn;                          // "sqlite:PATH", "memory:" or a PostgreSQL connection string
  std::string import_dsn;                        // of a meta database whose shards an empty one takes over
  std::vector<std::string> shards;               // names, in the order in which slots are spread over them
  std::chrono::milliseconds lease{6000};         // a silent node is dead after this
  std::chrono::milliseconds suspect{2000};       // so is one whose stream broke and which stays away for this long
  std::chrono::milliseconds settle{300};         // a new node waits for others before ranges move to it
  uint64_t move_sessions = 500;                  // an order to move carries about so many
  uint64_t moves_per_node = 2;                   // orders under way at once, from a node and to a node
  std::chrono::milliseconds move_rest{30'000};   // what has moved stays for so long
  std::chrono::milliseconds move_timeout{2000};  // an order without answer is sent again
  std::chrono::milliseconds leader_lease{4000};  // a leader that was not heard of for so long is replaced
  std::chrono::milliseconds shard_keep{
      std::chrono::hours{24}};  // a way back of a move between shards is kept for so long
  std::string control_socket;   // path of a unix socket where operators are served beside the node's own address
  bool embedded = false;        // one process with files of its own; not an option
};

/// `options` must outlive the schema.
void declare(config::schema& into, routing_config& options);

/// What is wrong with the options taken together; empty when all is well.
std::vector<std::string> complaints(const routing_config& options);

}  // namespace tern::routing

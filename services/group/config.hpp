// Options of the group service: `group.<name>`, units in the names.
#pragma once

#include <chrono>
#include <cstdint>

namespace tern::config {
class schema;
}

namespace tern::group {

struct group_config {
  std::chrono::milliseconds storage_deadline{2000};  // of a session's request
  uint64_t storage_queue = 65536;                    // requests waiting per shard
  uint64_t queue_requests = 65536;                   // taken and not answered, all rooms together
  uint64_t room_queue_requests = 2048;               // the same, of one room
  uint64_t room_queue_bytes = 8U << 20U;             // bodies of these
  std::chrono::milliseconds linger{10'000};          // a room without interest and work is kept so long
  uint64_t gap_rows = 200;                           // of one read that fills a gap
  uint64_t gap_bytes = 1U << 20U;
  // ---- virtual rooms ----
  std::chrono::milliseconds vroom_idle{300'000};  // without a push or a command: over
  std::chrono::milliseconds vroom_grace{2000};    // a new owner waits so long for who knows a room
  std::chrono::milliseconds vroom_gone{60'000};   // an ended room is remembered so long
  std::chrono::milliseconds vroom_settle{50};     // after a move pushes wait so long for gateways to follow
  uint64_t vrooms_per_node = 100'000;             // live ones
  uint64_t vroom_queue_bytes = 4U << 20U;         // pushes taken and not passed on, of one room
  uint64_t vroom_node_queue_bytes = 256U << 20U;  // the same, all rooms together
  uint64_t vroom_waiting = 1024;                  // requests of one room during vroom_grace
  uint64_t vroom_granted = 1000;                  // accounts an owner may give the right to push
};

/// Declares every option above in `into`; `options` must outlive the schema.
void declare(config::schema& into, group_config& options);

}  // namespace tern::group

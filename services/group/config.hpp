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
};

/// Declares every option above in `into`; `options` must outlive the schema.
void declare(config::schema& into, group_config& options);

}  // namespace tern::group

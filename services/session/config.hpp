// Options of the session service: `session.<name>`, units in the names.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace tern::config {
class schema;
}

namespace tern::session {

/// Defaults are those of a single node on a laptop; every number has a bound in declare().
struct session_config {
  uint64_t device_limit = 8;                            // terminals of one account
  uint64_t devicetype_limit = 8;                        // of one account and termtyp
  std::chrono::milliseconds auth_min_interval{10'000};  // a younger terminal is not replaced by a new login
  bool open_messaging = false;                          // messages between accounts that are no friends
  std::chrono::milliseconds storage_deadline{2000};     // a client's command waits so long for storage
  std::chrono::milliseconds group_deadline{2000};
  uint64_t storage_queue = 65536;                 // requests waiting per shard; above: overload
  std::chrono::milliseconds linger{10'000};       // an off-line account's actor stays so long
  std::chrono::milliseconds gateway_grace{2000};  // terminals of a gateway that went away are kept so long
  uint64_t window_messages = 256;                 // unacknowledged per account, then conversations turn dirty
  uint64_t window_bytes = 1 << 20;
  uint64_t drain_messages = 50;  // of one OFFLINEMSG list
  uint64_t drain_bytes = 256 << 10;
  uint64_t pull_messages = 200;  // most of one PULLMESSAGE answer
  uint64_t pull_bytes = 1 << 20;
  std::string identity_key;  // secret shared by gateways and session nodes
};

/// Declares every option above in `into`; `options` must outlive the schema.
void declare(config::schema& into, session_config& options);

}  // namespace tern::session

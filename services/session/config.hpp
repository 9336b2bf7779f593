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
  uint64_t room_list_members = 10'000;                  // most accounts of one list of a room's members
  uint64_t account_rate_per_second = 0;                 // commands of one account over all its terminals; 0: no limit
  std::string storage = "shards";                       // or "none": nothing is stored, messages are only passed on
  std::chrono::milliseconds relay_token_life{10'000};   // of login tokens without storage
  std::chrono::milliseconds presence_window{20};        // presences are gathered so long
  uint64_t presence_recipients = 500'000;               // of presences gathered; further ones are left out
  std::chrono::milliseconds offline_notice_delay{500};  // an account is off line to its friends after that
  bool presence_offline_block = false;                  // nobody is told that somebody went off line
  uint64_t peer_queue_items = 65536;                    // waiting for a link to another session node
  uint64_t peer_queue_bytes = 64 << 20;                 // their payloads
  bool stores() const noexcept { return storage != "none"; }
  std::string identity_key;  // secret shared by gateways and session nodes
};

/// Declares every option above in `into`; `options` must outlive the schema.
void declare(config::schema& into, session_config& options);

}  // namespace tern::session

#include "services/session/config.hpp"

#include "libs/config/schema.hpp"

namespace tern::session {

void declare(config::schema& into, session_config& o) {
  into.add("session.device_limit", o.device_limit, "terminals of one account; a further login replaces the oldest",
           {1, 32});
  into.add("session.devicetype_limit", o.devicetype_limit, "terminals of one account and terminal type", {1, 32});
  into.add("session.auth_min_interval_ms", o.auth_min_interval,
           "a terminal younger than this is not replaced: the new login is refused (4111)", {0, 3'600'000});
  into.add("session.open_messaging", o.open_messaging, "messages between accounts of a domain that are no friends");
  into.add("session.storage_deadline_ms", o.storage_deadline,
           "a client's command waits so long for storage (then 5103)", {50, 60'000});
  into.add("session.group_deadline_ms", o.group_deadline, "a client's command waits so long for a group node",
           {50, 60'000});
  into.add("session.storage_queue_requests", o.storage_queue, "requests waiting per shard; above that 5104",
           {16, 1'000'000});
  into.add("session.linger_ms", o.linger, "the state of an account without terminals is kept so long", {0, 600'000});
  into.add("session.gateway_grace_ms", o.gateway_grace, "terminals of a gateway that went away are kept so long",
           {0, 60'000});
  into.add("session.window_messages", o.window_messages,
           "messages of one account on their way; further ones wait in the log", {1, 4096});
  into.add("session.window_bytes", o.window_bytes, "the same in bytes", {1024, 64 << 20});
  into.add("session.drain_messages", o.drain_messages, "messages of one OFFLINEMSG list", {1, 200});
  into.add("session.drain_bytes", o.drain_bytes, "message bytes of one OFFLINEMSG list (the first always fits)",
           {1024, 8 << 20});
  into.add("session.pull_messages", o.pull_messages, "most messages of one PULLMESSAGE answer", {1, 500});
  into.add("session.pull_bytes", o.pull_bytes, "message bytes of one PULLMESSAGE answer (the first always fits)",
           {1024, 16 << 20});
  into.add("session.room_list_members", o.room_list_members, "most accounts of one list of a room's members",
           {1, 100'000});
  into.add("session.account_rate_per_second", o.account_rate_per_second,
           "commands per second of one account over all its terminals; 0: no limit. Above: error 5105 and close",
           {0, 1'000'000});
  into.add_choice(
      "session.storage", o.storage, {"shards", "none"},
      "none: no storage service is needed and nothing is kept; any name logs on, messages are passed on to "
      "terminals on line, rooms and rosters are not offered");
  into.add("session.relay_token_life_ms", o.relay_token_life, "life of a login token without storage",
           {1000, 3'600'000});
  into.add("session.presence_window_ms", o.presence_window,
           "presences are gathered so long; of two of one sender the newer one is sent", {0, 1000});
  into.add("session.presence_recipients", o.presence_recipients,
           "recipients of gathered presences; further ones are left out", {100, 10'000'000});
  into.add("session.offline_notice_delay_ms", o.offline_notice_delay,
           "friends are told so long after an account's last terminal went, unless it is back", {0, 60'000});
  into.add("session.presence_offline_block", o.presence_offline_block,
           "nobody is told that an account or a terminal went off line");
  into.add("session.peer_queue_items", o.peer_queue_items,
           "presences and unstored messages waiting for a link to another session node; further ones are dropped",
           {16, 1'000'000});
  into.add("session.peer_queue_bytes", o.peer_queue_bytes, "the same in bytes of their payloads",
           {1 << 20, int64_t{4} << 30});
  into.add_secret("identity.key", o.identity_key, "cluster secret that account and conversation ids are derived from",
                  true);
}

}  // namespace tern::session

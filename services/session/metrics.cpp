#include "services/session/metrics.hpp"

#include <string>

namespace tern::session {

session_metrics::session_metrics(metrics::registry& where) : presence(where), live(where) {
  const std::array<std::string, 4> results{"ok", "duplicate", "rejected", "throttled"};
  const std::array<std::string, 4> outcomes{"online", "offline", "suppressed", "failed"};
  const std::array<std::string, 3> kinds{"message", "notice", "batch"};
  for (size_t i = 0; i < results.size(); ++i) {
    accepted_total[i] =
        where.counter("tern_session_accepted_total", "Messages of clients by how their acceptance ended.",
                      {{"kind", "message"}, {"result", results[i]}});
  }
  const std::array<std::string, 3> reasons{"rate", "size", "overload"};
  for (size_t i = 0; i < reasons.size(); ++i) {
    refused_total[i] = where.counter("tern_session_refused_total", "Commands refused by a limit, by which one.",
                                     {{"reason", reasons[i]}});
  }
  rate_limited = where.counter("tern_rate_limited_total", "refused because a rate was exceeded, by whose",
                               {{"scope", "account"}});
  shed = where.counter("tern_overload_shed_total", "refused because too much waits, by what was full",
                       {{"reason", "session_queue"}});
  for (size_t k = 0; k < kinds.size(); ++k) {
    for (size_t i = 0; i < outcomes.size(); ++i) {
      deliveries_total[k][i] = where.counter("tern_session_deliveries_total",
                                             "What became of deliveries: sent to terminals, left in the backlog "
                                             "(once per burst), repeated and suppressed, failed.",
                                             {{"kind", kinds[k]}, {"outcome", outcomes[i]}});
    }
  }
  room_deliveries_total =
      where.counter("tern_session_room_deliveries_total", "Messages of rooms handed over, one per terminal.");
  room_fills_total =
      where.counter("tern_session_room_fills_total", "Pages of rooms' logs read because something was missed.");
  redeliveries_total = where.counter("tern_session_redeliveries_total", "Messages sent again to a further terminal.");
  wrong_owner_total =
      where.counter("tern_session_wrong_owner_total", "Items refused because another node owns the slot.");
  replaced_total = where.counter("tern_session_replaced_total", "Terminals logged out because of a device limit.");
  const std::array<std::string, 6> fates{"sent", "warm", "cold", "dropped", "checksum", "format"};
  for (size_t i = 0; i < fates.size(); ++i) {
    moved_total[i] = where.counter("tern_session_moved_total",
                                   "Sessions whose range moved: state sent; begun from one (warm); not still in time "
                                   "(cold); state dropped, damaged, or of an unknown format.",
                                   {{"result", fates[i]}});
  }
  const auto& buckets = metrics::latency_buckets();
  frozen_seconds = where.histogram("tern_session_frozen_seconds",
                                   "From the first session of a moving range that stands still until the range is "
                                   "another node's, or goes on here.",
                                   buckets);
  receipt_seconds = where.histogram("tern_session_receipt_seconds",
                                    "From the gateway's receipt of a message to its durable answer.", buckets);
  const std::array<std::string, 2> what{"message", "moment"};
  const std::array<std::string, 2> paths{"local", "remote"};
  for (size_t k = 0; k < what.size(); ++k) {
    for (size_t i = 0; i < paths.size(); ++i) {
      delivery_seconds[k][i] =
          where.histogram("tern_session_delivery_seconds",
                          "From a message's acceptance to its hand-over to the recipient's gateway; path: sender's "
                          "session on the same node or not.",
                          buckets, {{"kind", what[k]}, {"path", paths[i]}});
    }
  }
  route_seconds = metrics::stage_seconds(where, metrics::stage::route);
  authorize_seconds = metrics::stage_seconds(where, metrics::stage::authorize);
  client_ack_seconds =
      where.histogram("tern_session_client_ack_seconds",
                      "From a message's acceptance to its first acknowledgement by a recipient.", buckets);
  offline_drain_seconds =
      where.histogram("tern_session_offline_drain_seconds", "From OFFLINEMSG to OFFLINEMSGEND.", buckets);
  storage_seconds =
      where.histogram("tern_session_storage_seconds", "From a request to storage to its answer.", buckets);
  sessions_online = where.gauge("tern_session_sessions", "Accounts with a live session.", {{"state", "online"}});
  sessions_lingering =
      where.gauge("tern_session_sessions", "Accounts with a live session.", {{"state", "lingering"}});
  terminals_gauge = where.gauge("tern_session_terminals", "Terminals logged on.");
  unacked_gauge = where.gauge("tern_session_unacked_messages", "Messages and notices sent and not acknowledged.");
  storage_waiting = where.gauge("tern_session_storage_waiting_requests", "Requests to storage without an answer.");
}

void session_metrics::refresh() const {
  sessions_online.set(static_cast<double>(online.load()));
  sessions_lingering.set(static_cast<double>(lingering.load()));
  terminals_gauge.set(static_cast<double>(terminals.load()));
  unacked_gauge.set(static_cast<double>(unacked.load()));
}

}  // namespace tern::session

#include "services/session/presence/metrics.hpp"

#include <string>

namespace tern::session {

presence_metrics::presence_metrics(metrics::registry& where) {
  const std::array<std::string, 4> kinds{"direct", "broadcast", "own_terminals", "offline_notice"};
  for (size_t i = 0; i < kinds.size(); ++i) {
    sent_total[i] = where.counter("tern_session_presence_sent_total",
                                  "Presences by why they were sent, whatever the number of their recipients.",
                                  {{"kind", kinds[i]}});
  }
  const std::array<std::string, 2> results{"sent", "dropped"};
  for (size_t i = 0; i < results.size(); ++i) {
    peer_items_total[i] = where.counter("tern_session_peer_items_total",
                                        "Items for other session nodes: handed to their link, or dropped because its "
                                        "queue was full or it stayed down.",
                                        {{"result", results[i]}});
  }
  replaced_total = where.counter("tern_session_presence_replaced_total",
                                 "Recipients of a presence that a newer one of the same sender replaced in time.");
  overflow_total = where.counter("tern_session_presence_overflow_total",
                                 "Recipients left out because too many waited for the end of the window.");
  delivered_total = where.counter("tern_session_presence_delivered_total", "Presences sent to a terminal.");
  missed_total = where.counter("tern_session_presence_missed_total",
                               "Presences and unstored messages for accounts that were not on line at their owner.");
  peer_links = where.gauge("tern_session_peer_links", "Links to other session nodes that are up.");
}

}  // namespace tern::session

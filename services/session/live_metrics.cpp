#include "services/session/live_metrics.hpp"

#include <string>

namespace tern::session {

live_metrics::live_metrics(metrics::registry& where) {
  const std::array<std::string, 4> kinds{"stream", "room_stream", "bigstring", "bigbinary"};
  const std::array<std::string, 2> results{"ok", "rejected"};
  for (size_t k = 0; k < kinds.size(); ++k) {
    for (size_t i = 0; i < results.size(); ++i) {
      sent_total[k][i] = where.counter("tern_session_live_sent_total",
                                       "Stream messages and big data of clients: passed on, or refused.",
                                       {{"kind", kinds[k]}, {"result", results[i]}});
    }
    delivered_total[k] =
        where.counter("tern_session_live_delivered_total",
                      "Stream messages and big data handed over, one per terminal.", {{"kind", kinds[k]}});
  }
  const std::array<std::string, 2> reasons{"blocked", "gateway"};
  for (size_t i = 0; i < reasons.size(); ++i) {
    dropped_total[i] = where.counter(
        "tern_session_live_dropped_total",
        "Stream messages and big data dropped: the recipient blocks the sender, the stream to a gateway is full.",
        {{"reason", reasons[i]}});
  }
}

}  // namespace tern::session

// Metric families of what is of the moment: stream messages (odType 5) and big data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "libs/metrics/metrics.hpp"

namespace tern::session {

/// What was sent: odType 5 to an account, odType 5 to a room, BIGSTRING, BIGBINARY.
enum class live_kind : uint8_t { stream, room_stream, bigstring, bigbinary };
/// Why something of the moment went nowhere, beside that nobody was on line.
enum class live_drop : uint8_t {
  blocked,  // the recipient blocks the sender
  gateway,  // the queue of the stream to the gateway was full
};

/// Handles are made once; thread-safe.
struct live_metrics {
  explicit live_metrics(metrics::registry& where);

  void count_sent(live_kind what, bool accepted) const {
    sent_total[static_cast<size_t>(what)][accepted ? 0 : 1].add();
  }
  void count_delivered(live_kind what, size_t terminals) const {
    delivered_total[static_cast<size_t>(what)].add(static_cast<double>(terminals));
  }
  void count(live_drop why, size_t frames) const {
    dropped_total[static_cast<size_t>(why)].add(static_cast<double>(frames));
  }

  std::array<std::array<metrics::counter, 2>, 4> sent_total;
  std::array<metrics::counter, 4> delivered_total;
  std::array<metrics::counter, 2> dropped_total;
};

}  // namespace tern::session

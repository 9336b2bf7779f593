// Metric series of virtual rooms and live frames at the gateway.
#pragma once

#include <array>
#include <cstdint>

#include "libs/metrics/metrics.hpp"

namespace tern::gateway::live {

/// Why a frame was not passed on; the label of tern_gateway_live_dropped_total.
enum class drop : uint8_t {
  queue_bytes,  // a viewer's queue: newer frames needed the room
  queue_age,    // a viewer's queue: waited too long
  no_owner,     // a push: nobody owned the room in time, or the owner moved on the way
  overload,     // a push: this gateway or the owner had too much to do
  upstream,     // a hole in a room's numbers: dropped before it came here
};
inline constexpr size_t drops = 5;

/// Handles, made once. Thread-safe.
struct live_metrics {
  explicit live_metrics(metrics::registry& registry);

  void dropped(drop why, size_t count = 1) const noexcept {
    if (count != 0) dropped_[static_cast<size_t>(why)].add(static_cast<double>(count));
  }

  metrics::gauge rooms;          // of which this gateway is told
  metrics::gauge subscriptions;  // of connections
  metrics::gauge links_up;       // to group nodes
  metrics::counter pushes;       // taken from clients
  metrics::counter frames_in;    // from group nodes
  metrics::counter frames_out;   // given to viewers
  metrics::counter bytes_out;
  metrics::histogram fanout_seconds;  // received by the pusher's gateway to given to the last viewer of an io thread

 private:
  std::array<metrics::counter, drops> dropped_;
};

}  // namespace tern::gateway::live

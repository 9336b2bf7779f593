// Metric families of virtual rooms and the numbers behind their gauges.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "libs/metrics/metrics.hpp"

namespace tern::group {
enum class outcome : uint8_t;
}

namespace tern::group::live {

enum class command : uint8_t { create, remove, grant, interest };
/// Why a push (sink: one gateway's copy of its frame) went no further.
enum class drop : uint8_t { room_queue, node_queue, no_room, denied, wrong_owner, sink };
/// moved: the range has another owner or epoch, where the room may go on.
enum class ending : uint8_t { removed, idle, moved };

/// Handles are made once; all of it is thread-safe.
struct live_metrics {
  explicit live_metrics(metrics::registry& where);

  void count(command what, outcome result) const {
    commands_total[static_cast<size_t>(what)][static_cast<size_t>(result)].add();
  }
  void dropped(drop why, double count = 1) const { dropped_total[static_cast<size_t>(why)].add(count); }
  void ended(ending why) const { ended_total[static_cast<size_t>(why)].add(); }

  std::array<std::array<metrics::counter, 6>, 4> commands_total;
  metrics::counter created_total;
  metrics::counter adopted_total;
  std::array<metrics::counter, 3> ended_total;
  metrics::counter frames_in_total;
  metrics::counter frames_out_total;
  metrics::counter bytes_in_total;
  metrics::counter bytes_out_total;
  std::array<metrics::counter, 6> dropped_total;
  metrics::counter streams_cut_total;
  metrics::gauge rooms_gauge;
  metrics::gauge interests_gauge;
  metrics::gauge queue_gauge;

  std::atomic<int64_t> actors{0};     // also of rooms that are over or unknown
  std::atomic<int64_t> rooms{0};      // that are live
  std::atomic<int64_t> interests{0};  // of gateways, in all rooms

  /// Copies the atomics, and `waiting` bytes, into the gauges.
  void refresh(uint64_t waiting) const;
};

}  // namespace tern::group::live

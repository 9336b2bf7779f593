// Metric families of the group service and the numbers behind its gauges.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "libs/base/errc.hpp"
#include "libs/metrics/metrics.hpp"
#include "services/group/live/metrics.hpp"

namespace tern::group {

enum class command : uint8_t { create, append, change, recall, interest, live };
/// How a command was answered. failed: the outcome is unknown.
enum class outcome : uint8_t { ok, duplicate, refused, failed, wrong_owner, overload };

/// Handles are made once. Gauges are read from the atomics at each scrape; all of it is thread-safe.
struct group_metrics {
  explicit group_metrics(metrics::registry& where);

  void count(command what, outcome result) const {
    commands_total[static_cast<size_t>(what)][static_cast<size_t>(result)].add();
  }

  std::array<std::array<metrics::counter, 6>, 6> commands_total;
  metrics::counter frames_total;
  metrics::counter frame_bytes_total;
  metrics::counter live_total;
  metrics::counter live_dropped_total;
  metrics::counter gone_total;
  metrics::counter gap_reads_total;
  metrics::counter rechecks_total;
  metrics::counter streams_cut_total;
  metrics::histogram fanout_seconds;
  metrics::histogram storage_seconds;
  std::array<metrics::counter, 6> moved_total;  // by handover::fate
  metrics::histogram frozen_seconds;
  metrics::gauge slots_owned;
  metrics::gauge rooms_active;
  metrics::gauge interests_gauge;
  metrics::gauge queue;
  metrics::gauge storage_waiting;

  live::live_metrics live;

  std::atomic<int64_t> rooms{0};      // actors
  std::atomic<int64_t> interests{0};  // of all rooms
  std::atomic<int64_t> open{0};       // requests taken and not answered

  /// Copies the atomics into the gauges.
  void refresh() const;
};

/// What an answer's code and `duplicate` count as.
outcome outcome_of(errc code, bool duplicate);

}  // namespace tern::group

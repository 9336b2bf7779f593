// Metric families of the session service and the numbers behind its gauges.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "libs/base/errc.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/metrics/stages.hpp"
#include "services/session/live_metrics.hpp"
#include "services/session/presence/metrics.hpp"

namespace tern::session {

/// How the acceptance of a MESSAGE ended.
enum class accepted : uint8_t { ok, duplicate, rejected, throttled };
/// What became of something for an account.
enum class outcome : uint8_t { online, offline, suppressed, failed };
enum class kind : uint8_t { message, notice, batch };
/// What was delivered, and whether its sender's session is on this node or on another.
enum class delivery_kind : uint8_t { message, moment };
enum class delivery_path : uint8_t { local, remote };
/// Which limit refused a command: the account's rate, the size of a list or text, a full queue.
enum class refusal : uint8_t { rate, size, overload };

/// What became of a session whose range moved.
enum class moved : uint8_t {
  sent,      // its state went to the next owner
  warm,      // began from a state
  cold,      // was not still in time, and begins there as after a takeover
  dropped,   // its state came to nothing
  checksum,  // damaged
  format,    // of a version this one does not know
};

/// Handles are made once. Gauges are read from the atomics at each scrape; all of it is thread-safe.
struct session_metrics {
  explicit session_metrics(metrics::registry& where);

  void count(accepted result) const { accepted_total[static_cast<size_t>(result)].add(); }
  void count(kind what, outcome result) const {
    deliveries_total[static_cast<size_t>(what)][static_cast<size_t>(result)].add();
  }

  void count_moved(moved how, uint64_t sessions) const {
    moved_total[static_cast<size_t>(how)].add(static_cast<double>(sessions));
  }

  void delivered(delivery_kind what, delivery_path from, double seconds) const {
    delivery_seconds[static_cast<size_t>(what)][static_cast<size_t>(from)].observe(seconds);
  }

  void count(refusal reason) const {
    refused_total[static_cast<size_t>(reason)].add();
    if (reason == refusal::rate) rate_limited.add();
    if (reason == refusal::overload) shed.add();
  }
  /// Counts the codes that are refusals of a limit.
  void count_refused(errc code) const {
    if (code == errc::rate_limited) count(refusal::rate);
    if (code == errc::overload) count(refusal::overload);
  }

  std::array<metrics::counter, 4> accepted_total;
  std::array<metrics::counter, 3> refused_total;
  metrics::counter rate_limited, shed;
  std::array<std::array<metrics::counter, 4>, 3> deliveries_total;
  metrics::counter room_deliveries_total;
  metrics::counter room_fills_total;
  metrics::counter redeliveries_total;
  metrics::counter wrong_owner_total;
  metrics::counter replaced_total;
  std::array<metrics::counter, 6> moved_total;
  metrics::histogram frozen_seconds;
  metrics::histogram receipt_seconds;
  std::array<std::array<metrics::histogram, 2>, 2> delivery_seconds;
  metrics::histogram client_ack_seconds;
  metrics::histogram offline_drain_seconds;
  metrics::histogram storage_seconds;
  metrics::histogram route_seconds, authorize_seconds;  // stages of a message
  metrics::gauge sessions_online;
  metrics::gauge sessions_lingering;
  metrics::gauge terminals_gauge;
  metrics::gauge unacked_gauge;
  metrics::gauge storage_waiting;

  presence_metrics presence;
  live_metrics live;

  std::atomic<int64_t> online{0};     // accounts with terminals
  std::atomic<int64_t> lingering{0};  // actors without
  std::atomic<int64_t> terminals{0};
  std::atomic<int64_t> unacked{0};

  /// Copies the atomics into the gauges.
  void refresh() const;
};

}  // namespace tern::session

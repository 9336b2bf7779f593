// Metric families of presence and of the links between session nodes.
#pragma once

#include <array>
#include <cstdint>

#include "libs/metrics/metrics.hpp"

namespace tern::session {

/// Why a presence was sent.
enum class presence_kind : uint8_t { direct, broadcast, own_terminals, offline_notice };
/// What became of an item for another node.
enum class peer_result : uint8_t { sent, dropped };

/// Handles are made once; thread-safe.
struct presence_metrics {
  explicit presence_metrics(metrics::registry& where);

  void count(presence_kind what) const { sent_total[static_cast<size_t>(what)].add(); }
  void count(peer_result what, size_t items) const {
    peer_items_total[static_cast<size_t>(what)].add(static_cast<double>(items));
  }

  std::array<metrics::counter, 4> sent_total;
  std::array<metrics::counter, 2> peer_items_total;
  metrics::counter replaced_total;
  metrics::counter overflow_total;
  metrics::counter delivered_total;
  metrics::counter missed_total;
  metrics::gauge peer_links;
};

}  // namespace tern::session

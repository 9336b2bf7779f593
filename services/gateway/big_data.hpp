// What the connections of a gateway share, and what one connection keeps, of big data on its way in.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "libs/metrics/metrics.hpp"
#include "services/gateway/big_data_assembler.hpp"
#include "services/gateway/memory_budget.hpp"

namespace tern::gateway {

/// What became of a big-data frame; the label of tern_gateway_big_data_total.
enum class big_data_end : uint8_t {
  assembled,
  malformed,  // a header that cannot be right, no node, more bytes than announced
  too_large,  // above gateway.big_data_bytes
  stalled,    // nothing came for gateway.big_data_timeout_ms
  overload,   // too much under way, or the memory for it is used up
  disabled,   // switched off by configuration
};

/// Thread-safe.
struct big_data_shared {
  big_data_shared(size_t total_bytes, metrics::registry& registry);

  void count(big_data_end how) const noexcept { ends[static_cast<size_t>(how)].add(); }
  /// Shows what is held.
  void refresh() const noexcept { held_bytes.set(static_cast<double>(memory.used())); }

  memory_budget memory;
  std::array<metrics::counter, 6> ends;
  metrics::gauge held_bytes;
};

/// Of one connection, while it has any. On its io thread.
struct big_data_input {
  explicit big_data_input(memory_budget& of) : share(of) {}

  std::optional<big_data_assembler> frame;  // that is coming in
  uint32_t heard_tick = 0;                  // of its last byte
  size_t under_way = 0;                     // bytes sent to the session owner and not confirmed: kept for a repeat
  memory_share share;
};

}  // namespace tern::gateway

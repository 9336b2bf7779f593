// Metric families of the group service.
#pragma once

#include <array>
#include <cstdint>

#include "libs/metrics/metrics.hpp"

namespace tern::group {

/// How a room command was answered.
enum class outcome : uint8_t { not_offered, wrong_owner, overload };

struct group_metrics {
  explicit group_metrics(metrics::registry& where);
  void count(outcome result) const { commands_total[static_cast<size_t>(result)].add(); }

  std::array<metrics::counter, 3> commands_total;
  metrics::gauge slots_owned;
};

}  // namespace tern::group

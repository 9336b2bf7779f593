#include "services/group/metrics.hpp"

#include <string>

namespace tern::group {

group_metrics::group_metrics(metrics::registry& where) {
  const std::array<std::string, 3> results{"not_offered", "wrong_owner", "overload"};
  for (size_t i = 0; i < results.size(); ++i) {
    commands_total[i] = where.counter("tern_group_commands_total", "Room commands by how they were answered.",
                                      {{"result", results[i]}});
  }
  slots_owned = where.gauge("tern_group_slots_owned", "Slots of rooms this node owns.");
}

}  // namespace tern::group

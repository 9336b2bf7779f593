#include "libs/metrics/stages.hpp"

#include <iterator>

namespace tern::metrics {

histogram stage_seconds(registry& where, stage which) {
  constexpr const char* names[] = {"decode", "authorize", "route", "commit", "dispatch", "write"};
  static_assert(std::size(names) == static_cast<size_t>(stage::write) + 1);
  return where.histogram("tern_message_stage_seconds",
                         "time of messages between two accounts in each stage, of one in 64", latency_buckets(),
                         {{"stage", names[static_cast<size_t>(which)]}});
}

}  // namespace tern::metrics

#include "services/group/live/metrics.hpp"

#include <string>

namespace tern::group::live {

live_metrics::live_metrics(metrics::registry& where) {
  const std::array<std::string, 4> commands{"create", "remove", "grant", "interest"};
  const std::array<std::string, 6> results{"ok", "duplicate", "refused", "failed", "wrong_owner", "overload"};
  const std::array<std::string, 6> drops{"room_queue", "node_queue", "no_room", "denied", "wrong_owner", "sink"};
  const std::array<std::string, 3> endings{"removed", "idle", "moved"};
  for (size_t i = 0; i < commands.size(); ++i) {
    for (size_t j = 0; j < results.size(); ++j) {
      commands_total[i][j] =
          where.counter("tern_group_vroom_commands_total", "Commands of virtual rooms by how they were answered.",
                        {{"command", commands[i]}, {"result", results[j]}});
    }
  }
  const std::string begun = "tern_group_vrooms_begun_total";
  const std::string begun_help = "Virtual rooms made, or gone on with as gateways knew them after another owner.";
  created_total = where.counter(begun, begun_help, {{"how", "created"}});
  adopted_total = where.counter(begun, begun_help, {{"how", "adopted"}});
  for (size_t i = 0; i < endings.size(); ++i) {
    ended_total[i] = where.counter("tern_group_vrooms_ended_total",
                                   "Virtual rooms that ended; moved: their range has another owner or epoch.",
                                   {{"reason", endings[i]}});
  }
  frames_in_total = where.counter("tern_group_vroom_frames_in_total", "Pushes taken by virtual rooms.");
  frames_out_total =
      where.counter("tern_group_vroom_frames_out_total", "Frames handed to gateways, one per interested gateway.");
  bytes_in_total = where.counter("tern_group_vroom_bytes_in_total", "Body bytes of pushes taken.");
  bytes_out_total = where.counter("tern_group_vroom_bytes_out_total", "Body bytes of frames handed to gateways.");
  for (size_t i = 0; i < drops.size(); ++i) {
    dropped_total[i] =
        where.counter("tern_group_vroom_frames_dropped_total",
                      "Pushes that went no further; sink: a gateway's copy of one, because its link is full.",
                      {{"reason", drops[i]}});
  }
  streams_cut_total = where.counter("tern_group_vroom_streams_cut_total",
                                    "Streams ended because a gateway did not take an answer or a change.");
  rooms_gauge = where.gauge("tern_group_vrooms", "Virtual rooms that are live on this node.");
  interests_gauge = where.gauge("tern_group_vroom_interests", "Interests of gateways in virtual rooms.");
  queue_gauge = where.gauge("tern_group_vroom_queue_bytes", "Bytes of pushes taken and not passed on.");
}

void live_metrics::refresh(uint64_t waiting) const {
  rooms_gauge.set(static_cast<double>(rooms.load(std::memory_order_relaxed)));
  interests_gauge.set(static_cast<double>(interests.load(std::memory_order_relaxed)));
  queue_gauge.set(static_cast<double>(waiting));
}

}  // namespace tern::group::live

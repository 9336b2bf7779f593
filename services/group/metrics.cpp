#include "services/group/metrics.hpp"

#include <string>

namespace tern::group {

group_metrics::group_metrics(metrics::registry& where) : live(where) {
  const std::array<std::string, 6> commands{"create", "append", "change", "recall", "interest", "live"};
  const std::array<std::string, 6> results{"ok", "duplicate", "refused", "failed", "wrong_owner", "overload"};
  for (size_t i = 0; i < commands.size(); ++i) {
    for (size_t j = 0; j < results.size(); ++j) {
      commands_total[i][j] = where.counter("tern_group_commands_total", "Room commands by how they were answered.",
                                           {{"command", commands[i]}, {"result", results[j]}});
    }
  }
  frames_total = where.counter("tern_group_frames_total", "Room messages handed to session nodes, one per node.");
  frame_bytes_total = where.counter("tern_group_frame_bytes_total", "Message bytes of these.");
  live_total = where.counter("tern_group_live_frames_total",
                             "Room messages of the moment (stored nowhere) handed to session nodes, one per node.");
  live_dropped_total = where.counter("tern_group_live_frames_dropped_total",
                                     "The same, dropped because a session node did not take what was sent.");
  gone_total = where.counter("tern_group_gone_total", "Accounts session nodes were told are members no more.");
  gap_reads_total =
      where.counter("tern_group_gap_reads_total", "Reads of messages stored without this node's knowledge.");
  rechecks_total =
      where.counter("tern_group_rechecks_total", "Looks for messages whose append had an unknown outcome.");
  streams_cut_total = where.counter("tern_group_streams_cut_total",
                                    "Streams ended because a session node did not take what was sent.");
  fanout_seconds =
      where.histogram("tern_group_fanout_seconds", "From storage's answer to the last session node's queue.",
                      metrics::latency_buckets());
  storage_seconds =
      where.histogram("tern_group_storage_seconds", "Storage requests of rooms.", metrics::latency_buckets());
  // As handover::fate has them.
  const std::array<std::string, 6> fates{"sent", "cold", "used", "dropped", "checksum", "format"};
  for (size_t i = 0; i < fates.size(); ++i) {
    moved_total[i] =
        where.counter("tern_group_rooms_moved_total",
                      "Rooms of ranges that moved: sent and cold (not still in time) at the node that had "
                      "them; used, dropped or damaged (checksum, format) at the one that has them now.",
                      {{"result", fates[i]}});
  }
  frozen_seconds = where.histogram("tern_group_move_frozen_seconds", "Time the rooms of a range stood still to move.",
                                   metrics::latency_buckets());
  slots_owned = where.gauge("tern_group_slots_owned", "Slots of rooms this node owns.");
  rooms_active = where.gauge("tern_group_rooms_active", "Rooms with somebody on line, or used a moment ago.");
  interests_gauge = where.gauge("tern_group_interests", "Interests of session nodes in rooms.");
  queue = where.gauge("tern_group_queue_requests", "Room commands taken and not answered.");
  storage_waiting = where.gauge("tern_group_storage_waiting_requests", "Requests waiting for storage.");
}

void group_metrics::refresh() const {
  const auto show = [](const metrics::gauge& into, const std::atomic<int64_t>& from) {
    into.set(static_cast<double>(from.load(std::memory_order_relaxed)));
  };
  show(rooms_active, rooms);
  show(interests_gauge, interests);
  show(queue, open);
}

outcome outcome_of(errc code, bool duplicate) {
  switch (code) {
    case errc::ok: return duplicate ? outcome::duplicate : outcome::ok;
    case errc::wrong_owner: return outcome::wrong_owner;
    case errc::overload: return outcome::overload;
    case errc::deadline:
    case errc::unavailable:
    case errc::database:
    case errc::cancelled:
    case errc::stale_epoch:
    case errc::internal: return outcome::failed;
    default: return outcome::refused;
  }
}

}  // namespace tern::group

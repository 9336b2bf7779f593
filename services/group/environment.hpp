// What the actors of a group node share. Built by app.cpp; outlives all actors.
#pragma once

#include <tern/group/v1/group.pb.h>

#include <atomic>
#include <functional>
#include <string>

#include "libs/base/clock.hpp"
#include "libs/handover/mover.hpp"
#include "libs/log/log.hpp"
#include "libs/placement/view.hpp"
#include "libs/shards/storage_port.hpp"
#include "services/group/config.hpp"
#include "services/group/metrics.hpp"

namespace caf {
class actor_system;
}
namespace tern::actor {
class wheel;
}

namespace tern::group {

class directory;
class parking;
namespace live {
class directory;
class push_queue;
class range_ages;
}  // namespace live

struct environment {
  const group_config& config;
  const clock& time;
  group_metrics& metrics;
  std::string node = {};  // ours
  placement::view* cluster = nullptr;
  std::function<bool()> lease_valid = {};  // false: others may own our slots already
  shards::storage_port* storage = nullptr;
  group::directory* directory = nullptr;
  live::directory* vrooms = nullptr;
  live::range_ages* range_ages = nullptr;
  live::push_queue* pushes = nullptr;
  actor::wheel* wheel = nullptr;
  handover::mover* moves = nullptr;  // null: ranges change their owner without notice
  group::parking* parking = nullptr;
  caf::actor_system* actors = nullptr;  // null: links never run actors in their own thread
  log::logger log{"group"};
  /// When the ranges changed last (clock::now): a former owner's appends may still be on their way to storage.
  std::atomic<int64_t> ranges_changed_ns{0};
};

/// What a request counts as.
inline command command_of(const v1::GroupRequest& request) {
  switch (request.op_case()) {
    case v1::GroupRequest::kCreate: return command::create;
    case v1::GroupRequest::kChange: return command::change;
    case v1::GroupRequest::kRecall: return command::recall;
    case v1::GroupRequest::kInterest: return command::interest;
    case v1::GroupRequest::kLive: return command::live;
    default: return command::append;
  }
}

/// What a request counts against bounds of bytes.
inline size_t bytes_of_request(const v1::GroupRequest& request) {
  return request.append().body().size() + request.recall().body().size() + request.change().bean().size();
}

/// This node owns the room's slot in exactly this epoch, and may act on it.
inline bool owns(const environment& env, const placement::snapshot& map, room_id room, uint64_t epoch) {
  const placement::range* range = map.groups.find(slot_of(room));
  return range != nullptr && range->owner == env.node && range->epoch == epoch && env.lease_valid() &&
         (env.moves == nullptr || !env.moves->away(slot_of(room)));
}

/// The room's range is on its way here, and who asks has newer maps than we do: we may own it in a moment.
inline bool comes(const environment& env, const placement::snapshot& map, room_id room, uint64_t epoch) {
  if (env.moves == nullptr || env.parking == nullptr || !env.moves->expects(slot_of(room))) return false;
  const placement::range* range = map.groups.find(slot_of(room));
  return range == nullptr || range->epoch < epoch;
}

}  // namespace tern::group

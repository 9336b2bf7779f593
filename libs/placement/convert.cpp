#include "libs/placement/convert.hpp"

#include <tern/routing/v1/routing.pb.h>

#include <stdexcept>
#include <utility>

namespace tern::placement {
namespace {

using proto_ranges = google::protobuf::RepeatedPtrField<routing::v1::Range>;

void put(const range_map& from, proto_ranges& to) {
  to.Reserve(static_cast<int>(from.ranges().size()));
  for (const auto& each : from.ranges()) {
    auto& range = *to.Add();
    range.set_first(each.first);
    range.set_last(each.last);
    range.set_owner(each.owner);
    range.set_epoch(each.epoch);
  }
}

range_map take(const proto_ranges& from) {
  std::vector<range> ranges;
  ranges.reserve(static_cast<size_t>(from.size()));
  for (const auto& each : from) ranges.push_back({each.first(), each.last(), each.owner(), each.epoch()});
  return range_map(std::move(ranges));
}

}  // namespace

void to_proto(const snapshot& from, routing::v1::Snapshot& to) {
  to.Clear();
  to.set_version(from.version);
  for (const auto& each : from.nodes) {
    auto& node = *to.add_nodes();
    node.set_name(each.name);
    node.set_service(each.service);
    node.set_address(each.address);
    node.set_incarnation(each.incarnation);
    node.set_alive(each.alive);
  }
  put(from.sessions, *to.mutable_sessions());
  put(from.groups, *to.mutable_groups());
  put(from.storage, *to.mutable_storage());
  for (const auto& each : from.shards) {
    auto& shard = *to.add_shards();
    shard.set_name(each.name);
    shard.set_owner(each.owner);
    shard.set_epoch(each.epoch);
  }
}

result<snapshot_ptr> from_proto(const routing::v1::Snapshot& from) {
  auto to = std::make_shared<snapshot>();
  to->version = from.version();
  for (const auto& each : from.nodes()) {
    to->nodes.push_back({each.name(), each.service(), each.address(), each.incarnation(), each.alive()});
  }
  try {
    to->sessions = take(from.sessions());
    to->groups = take(from.groups());
    to->storage = take(from.storage());
  } catch (const std::invalid_argument& problem) {
    return error{errc::bad_format, problem.what()};
  }
  for (const auto& each : from.shards()) to->shards.push_back({each.name(), each.owner(), each.epoch()});
  return snapshot_ptr(std::move(to));
}

}  // namespace tern::placement

#include "libs/placement/convert.hpp"

#include <tern/routing/v1/routing.pb.h>

#include <stdexcept>
#include <utility>

namespace tern::placement {
namespace {

using proto_ranges = google::protobuf::RepeatedPtrField<routing::v1::Range>;

void put(const std::vector<range>& from, proto_ranges& to) {
  to.Reserve(static_cast<int>(from.size()));
  for (const auto& each : from) {
    auto& range = *to.Add();
    range.set_first(each.first);
    range.set_last(each.last);
    range.set_owner(each.owner);
    range.set_epoch(each.epoch);
  }
}

std::vector<range> take(const proto_ranges& from) {
  std::vector<range> ranges;
  ranges.reserve(static_cast<size_t>(from.size()));
  for (const auto& each : from) ranges.push_back({each.first(), each.last(), each.owner(), each.epoch()});
  return ranges;
}

void put(const std::vector<node>& from, google::protobuf::RepeatedPtrField<routing::v1::Node>& to) {
  for (const auto& each : from) {
    auto& node = *to.Add();
    node.set_name(each.name);
    node.set_service(each.service);
    node.set_address(each.address);
    node.set_incarnation(each.incarnation);
    node.set_alive(each.alive);
  }
}

std::vector<node> take(const google::protobuf::RepeatedPtrField<routing::v1::Node>& from) {
  std::vector<node> nodes;
  nodes.reserve(static_cast<size_t>(from.size()));
  for (const auto& each : from) {
    nodes.push_back({each.name(), each.service(), each.address(), each.incarnation(), each.alive()});
  }
  return nodes;
}

void put(const std::vector<shard>& from, google::protobuf::RepeatedPtrField<routing::v1::Shard>& to) {
  for (const auto& each : from) {
    auto& shard = *to.Add();
    shard.set_name(each.name);
    shard.set_owner(each.owner);
    shard.set_epoch(each.epoch);
  }
}

std::vector<shard> take(const google::protobuf::RepeatedPtrField<routing::v1::Shard>& from) {
  std::vector<shard> shards;
  for (const auto& each : from) shards.push_back({each.name(), each.owner(), each.epoch()});
  return shards;
}

}  // namespace

void to_proto(const snapshot& from, routing::v1::Snapshot& to) {
  to.Clear();
  to.set_version(from.version);
  put(from.nodes, *to.mutable_nodes());
  put(from.sessions.ranges(), *to.mutable_sessions());
  put(from.groups.ranges(), *to.mutable_groups());
  put(from.storage.ranges(), *to.mutable_storage());
  put(from.shards, *to.mutable_shards());
}

result<snapshot_ptr> from_proto(const routing::v1::Snapshot& from) {
  auto to = std::make_shared<snapshot>();
  to->version = from.version();
  to->nodes = take(from.nodes());
  try {
    to->sessions = range_map(take(from.sessions()));
    to->groups = range_map(take(from.groups()));
    to->storage = range_map(take(from.storage()));
  } catch (const std::invalid_argument& problem) {
    return error{errc::bad_format, problem.what()};
  }
  to->shards = take(from.shards());
  return snapshot_ptr(std::move(to));
}

void to_proto(const delta& from, routing::v1::Delta& to) {
  to.Clear();
  to.set_from(from.from);
  to.set_version(from.version);
  put(from.nodes, *to.mutable_nodes());
  for (const auto& name : from.gone) to.add_gone(name);
  put(from.sessions, *to.mutable_sessions());
  put(from.groups, *to.mutable_groups());
  put(from.storage, *to.mutable_storage());
  put(from.shards, *to.mutable_shards());
}

delta from_proto(const routing::v1::Delta& from) {
  delta to;
  to.from = from.from();
  to.version = from.version();
  to.nodes = take(from.nodes());
  to.gone.assign(from.gone().begin(), from.gone().end());
  to.sessions = take(from.sessions());
  to.groups = take(from.groups());
  to.storage = take(from.storage());
  to.shards = take(from.shards());
  return to;
}

}  // namespace tern::placement

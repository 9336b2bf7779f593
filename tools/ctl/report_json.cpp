#include <nlohmann/json.hpp>

#include "tools/ctl/report.hpp"

namespace tern::ctl {
namespace {

using json = nlohmann::ordered_json;

json of(const MoveStatus& move) {
  return {{"move", std::to_string(move.move())},  // 64 bits: more than a JSON number holds everywhere
          {"kind", move.kind() == routing::v1::MoveOrder::GROUPS ? "groups" : "sessions"},
          {"first", move.first()},
          {"last", move.last()},
          {"source", move.source()},
          {"target", move.target()},
          {"state", move.state()},
          {"reason", move.reason()},
          {"moved", move.moved()},
          {"seconds", move.seconds()},
          {"error", move.error()}};
}

template <class Moves>
json list(const Moves& moves) {
  json out = json::array();
  for (const auto& each : moves) out.push_back(of(each));
  return out;
}

json nodes(const Status& status, const std::string& service) {
  json out = json::array();
  for (const auto& each : status.nodes()) {
    const auto kind = service_of(status, each.name());
    if (!service.empty() && service != kind) continue;
    std::string address;
    uint64_t incarnation = 0;
    for (const auto& known : status.maps().nodes()) {
      if (known.name() != each.name()) continue;
      address = known.address();
      incarnation = known.incarnation();
    }
    out.push_back({{"name", each.name()},
                   {"service", kind},
                   {"state", each.state()},
                   {"load", each.load()},
                   {"slots", slots_of(status, each.name())},
                   {"heard_ms", each.heard_ms()},
                   {"map_version", each.map_version()},
                   {"address", address},
                   {"incarnation", std::to_string(incarnation)}});
  }
  return out;
}

json ranges(const Status& status, map_kind kind, const std::string& node) {
  json out = json::array();
  const auto& maps = status.maps();
  const auto& source = kind == map_kind::sessions ? maps.sessions()
                       : kind == map_kind::groups ? maps.groups()
                                                  : maps.storage();
  for (const auto& each : source) {
    json one{{"kind", to_string(kind)}, {"first", each.first()}, {"last", each.last()}, {"node", each.owner()}};
    one["epoch"] = each.epoch();
    if (kind == map_kind::storage) {
      one["node"] = "";
      for (const auto& shard : maps.shards()) {
        if (shard.name() != each.owner()) continue;
        one["node"] = shard.owner();
        one["epoch"] = shard.epoch();
      }
      one["shard"] = each.owner();
    }
    if (node.empty() || one["node"] == node) out.push_back(std::move(one));
  }
  return out;
}

json pinned(const Status& status) {
  json out = json::array();
  for (const auto& each : status.pinned()) {
    out.push_back({{"kind", each.kind() == routing::v1::MoveOrder::GROUPS ? "groups" : "sessions"},
                   {"first", each.first()},
                   {"last", each.last()},
                   {"node", each.target()}});
  }
  return out;
}

json head(const Status& status) {
  return {{"leader", status.leader()}, {"term", status.term()}, {"version", status.maps().version()}};
}

/// Names come from configuration files: whatever is no UTF-8 in them is replaced.
std::string text(const json& what) { return what.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

std::string status_json(const Status& status) {
  json out = head(status);
  out["nodes"] = nodes(status, "");
  for (const auto kind : {map_kind::sessions, map_kind::groups, map_kind::storage}) {
    out["ranges"][to_string(kind)] = ranges(status, kind, "");
  }
  out["pinned"] = pinned(status);
  out["moves"] = list(status.moves());
  out["moves_done"] = status.moves_done();
  out["moves_failed"] = status.moves_failed();
  return text(out);
}

std::string nodes_json(const Status& status, const std::string& service) {
  json out = head(status);
  out["nodes"] = nodes(status, service);
  return text(out);
}

std::string ranges_json(const Status& status, const range_filter& which) {
  json out = head(status);
  out["ranges"] = json::array();
  for (const auto kind : {map_kind::sessions, map_kind::groups, map_kind::storage}) {
    if (!which.all_kinds && kind != which.kind) continue;
    for (auto& each : ranges(status, kind, which.node)) out["ranges"].push_back(std::move(each));
  }
  return text(out);
}

std::string moves_json(const Status& status) {
  json out = head(status);
  out["moves"] = list(status.moves());
  out["moves_done"] = status.moves_done();
  out["moves_failed"] = status.moves_failed();
  return text(out);
}

std::string outcome_json(const outcome& what) {
  return text({{"command", what.command},
               {"done", what.done},
               {"dry_run", what.dry_run},
               {"seconds", what.seconds},
               {"plan", list(what.plan)}});
}

std::string progress_json(const std::string& command, const std::string& unit, uint64_t left, uint64_t all,
                          double per_second, int64_t remaining_ms) {
  return text({{"command", command},
               {"done", false},
               {"unit", unit},
               {"left", left},
               {"all", all},
               {"per_second", per_second},
               {"remaining_ms", remaining_ms}});
}

}  // namespace tern::ctl

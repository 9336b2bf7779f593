#include "tools/ctl/report.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include "libs/base/ids.hpp"
#include "tools/ctl/shard_report.hpp"

namespace tern::ctl {
namespace {

using ranges = google::protobuf::RepeatedPtrField<routing::v1::Range>;

const ranges& map_of(const Status& status, map_kind kind) {
  const auto& maps = status.maps();
  return kind == map_kind::sessions ? maps.sessions() : kind == map_kind::groups ? maps.groups() : maps.storage();
}

constexpr map_kind kinds[] = {map_kind::sessions, map_kind::groups, map_kind::storage};

slot_range slots(const routing::v1::Range& range) { return {range.first(), range.last()}; }

/// Owner of a range; of storage the node that serves the shard.
std::string node_of(const Status& status, map_kind kind, const routing::v1::Range& range) {
  if (kind != map_kind::storage) return range.owner();
  for (const auto& each : status.maps().shards()) {
    if (each.name() == range.owner()) return each.owner();
  }
  return {};
}

std::string kind_of(const MoveStatus& move) {
  return move.kind() == routing::v1::MoveOrder::GROUPS ? "groups" : "sessions";
}

std::string seconds(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

const routing::v1::Node* find_in_map(const Status& status, const std::string& name) {
  for (const auto& each : status.maps().nodes()) {
    if (each.name() == name) return &each;
  }
  return nullptr;
}

struct summary {
  uint64_t nodes = 0, up = 0, load = 0;
};

std::map<std::string, summary> by_service(const Status& status) {
  std::map<std::string, summary> all;
  for (const auto& each : status.nodes()) {
    auto& one = all[service_of(status, each.name())];
    ++one.nodes;
    one.load += each.load();
    if (each.state() == "up") ++one.up;
  }
  return all;
}

std::string load_unit(const std::string& service) {
  if (service == "gateway") return "connections";
  if (service == "session") return "sessions";
  return service == "group" ? "rooms" : "";
}

void add_move(table& to, const MoveStatus& move) {
  const bool begun = move.state() != "planned";
  const slot_range range{move.first(), move.last()};
  to.add({move.move() == 0 ? "-" : std::to_string(move.move()), kind_of(move), hex_range(range),
          grouped(range.count()), move.source(), move.target(), move.state(), move.reason(),
          begun ? grouped(move.moved()) : "", begun ? seconds(move.seconds()) : "", move.error()});
}

std::string count(uint64_t number, const std::string& what) {
  return grouped(number) + " " + what + (number == 1 ? "" : "s");
}

}  // namespace

result<map_kind> parse_kind(const std::string& text) {
  for (const auto kind : kinds) {
    if (text == to_string(kind)) return kind;
  }
  const auto meant = nearest(text, {"sessions", "groups", "storage"});
  return error{errc::bad_parameter,
               "'" + text + "' is no kind of range" +
                   (meant.empty() ? "; there are sessions, groups, storage" : "; did you mean " + meant + "?")};
}

std::string to_string(map_kind kind) {
  return kind == map_kind::sessions ? "sessions" : kind == map_kind::groups ? "groups" : "storage";
}

uint64_t slots_of(const Status& status, map_kind kind, const std::string& node) {
  uint64_t sum = 0;
  for (const auto& each : map_of(status, kind)) {
    if (node_of(status, kind, each) == node) sum += slots(each).count();
  }
  return sum;
}

uint64_t slots_of(const Status& status, const std::string& node) {
  uint64_t sum = 0;
  for (const auto kind : kinds) sum += slots_of(status, kind, node);
  return sum;
}

uint64_t slots_elsewhere(const Status& status, map_kind kind, slot_range range, const std::string& node) {
  uint64_t sum = 0;
  for (const auto& each : map_of(status, kind)) {
    const uint32_t first = std::max(each.first(), range.first);
    const uint32_t last = std::min(each.last(), range.last);
    if (first <= last && each.owner() != node) sum += last - first + 1;
  }
  return sum;
}

const routing::v1::NodeStatus* find_node(const Status& status, const std::string& node) {
  for (const auto& each : status.nodes()) {
    if (each.name() == node) return &each;
  }
  return nullptr;
}

std::string service_of(const Status& status, const std::string& node) {
  const auto* found = find_in_map(status, node);
  return found == nullptr ? "routing" : found->service();
}

bool is_over(const MoveStatus& move) { return move.state() == "done" || move.state() == "failed"; }

std::string status_text(const Status& status) {
  const auto under_way = std::count_if(status.moves().begin(), status.moves().end(), [](const MoveStatus& each) {
    return !is_over(each) && each.state() != "planned";
  });
  const auto planned = std::count_if(status.moves().begin(), status.moves().end(),
                                     [](const MoveStatus& each) { return each.state() == "planned"; });
  std::string out = "leader " + status.leader() + ", term " + std::to_string(status.term()) + ", maps at version " +
                    std::to_string(status.maps().version()) + "\n";
  out += count(static_cast<uint64_t>(under_way), "move") + " under way, " + grouped(static_cast<uint64_t>(planned)) +
         " to come, " + grouped(status.moves_done()) + " done and " + grouped(status.moves_failed()) +
         " failed in this term\n\n";
  table services({"SERVICE", ">NODES", ">UP", ">LOAD", ""});
  for (const auto& [service, what] : by_service(status)) {
    const auto unit = load_unit(service);
    services.add(
        {service, std::to_string(what.nodes), std::to_string(what.up), unit.empty() ? "" : grouped(what.load), unit});
  }
  out += services.text() + "\n";
  table maps({"MAP", ">RANGES", ">OWNERS", ">WITHOUT OWNER", "LEAST", "MOST"});
  for (const auto kind : kinds) {
    std::map<std::string, uint64_t> owned;
    for (const auto& each : map_of(status, kind)) owned[node_of(status, kind, each)] += slots(each).count();
    const uint64_t orphans = owned[""];
    owned.erase("");
    const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
    const auto [least, most] = std::minmax_element(owned.begin(), owned.end(), less);
    const auto shown = [&](auto at) { return at == owned.end() ? "" : at->first + " " + share(at->second); };
    maps.add({to_string(kind), std::to_string(map_of(status, kind).size()), std::to_string(owned.size()),
              orphans == 0 ? "0" : grouped(orphans), shown(least), shown(most)});
  }
  out += maps.text();
  if (status.pinned_size() > 0) {
    table pins({"PINNED", "SLOTS", ">COUNT", "TO"});
    for (const auto& each : status.pinned()) {
      const slot_range range{each.first(), each.last()};
      pins.add({each.kind() == routing::v1::MoveOrder::GROUPS ? "groups" : "sessions", hex_range(range),
                grouped(range.count()), each.target()});
    }
    out += "\n" + pins.text();
  }
  std::string away;
  for (const auto& each : status.nodes()) {
    if (each.state() == "up") continue;
    away += "\n" + each.name() + " is " + each.state();
  }
  for (const auto& each : shard_troubles(status)) away += "\n" + each.subject + ": " + each.text;
  return away.empty() ? out : out + away + "\n";
}

std::string nodes_text(const Status& status, const std::string& service) {
  table out({"NODE", "SERVICE", "STATE", ">LOAD", ">SLOTS", ">SHARE", ">HEARD", ">MAP", "ADDRESS"});
  std::vector<std::vector<std::string>> rows;
  for (const auto& each : status.nodes()) {
    const auto kind = service_of(status, each.name());
    if (!service.empty() && service != kind) continue;
    const auto* known = find_in_map(status, each.name());
    const bool owner = kind == "session" || kind == "group" || kind == "storage";
    const auto owned = slots_of(status, each.name());
    rows.push_back({each.name(), kind, each.state(), load_unit(kind).empty() ? "" : grouped(each.load()),
                    owner ? grouped(owned) : "", owner ? share(owned) : "",
                    each.name() == status.leader() ? "leads" : age(each.heard_ms()),
                    std::to_string(each.map_version()), known == nullptr ? "" : known->address()});
  }
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return std::tie(a[1], a[0]) < std::tie(b[1], b[0]); });
  for (auto& row : rows) out.add(std::move(row));
  return out.empty() ? "no " + service + " nodes\n" : out.text();
}

std::string ranges_text(const Status& status, const range_filter& which) {
  table out({"MAP", "SLOTS", ">FIRST", ">LAST", ">COUNT", ">SHARE", "NODE", ">EPOCH", "SHARD"});
  for (const auto kind : kinds) {
    if (!which.all_kinds && kind != which.kind) continue;
    for (const auto& each : map_of(status, kind)) {
      const auto node = node_of(status, kind, each);
      if (!which.node.empty() && which.node != node) continue;
      const auto range = slots(each);
      auto epoch = each.epoch();
      for (const auto& shard : status.maps().shards()) {
        if (kind == map_kind::storage && shard.name() == each.owner()) epoch = shard.epoch();
      }
      out.add({to_string(kind), hex_range(range), std::to_string(range.first), std::to_string(range.last),
               grouped(range.count()), share(range.count()), node.empty() ? "-" : node, std::to_string(epoch),
               kind == map_kind::storage ? each.owner() : ""});
    }
  }
  return out.empty() ? "no such ranges\n" : out.text();
}

std::string plan_text(const std::vector<MoveStatus>& plan) {
  table out({"MOVE", "MAP", "SLOTS", ">COUNT", "FROM", "TO", "STATE", "REASON", ">MOVED", ">SECONDS", "ERROR"});
  for (const auto& each : plan) add_move(out, each);
  return out.text();
}

std::string moves_text(const Status& status) {
  std::string out = grouped(status.moves_done()) + " done, " + grouped(status.moves_failed()) + " failed in term " +
                    std::to_string(status.term()) + "\n";
  if (status.moves_size() == 0) return out + "no moves under way\n";
  return out + "\n" + plan_text({status.moves().begin(), status.moves().end()});
}

}  // namespace tern::ctl

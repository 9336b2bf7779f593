#include "tools/ctl/shard_report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tools/ctl/text.hpp"

namespace tern::ctl {
namespace {

using nlohmann::json;

std::string number(double value, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string bar(const ShardMoveStatus& move) {
  constexpr size_t width = 12;
  const auto& told = move.progress();
  double part = 0;
  if (told.rows_all() > 0) part = static_cast<double>(told.rows()) / static_cast<double>(told.rows_all());
  if (move.state() != "copying" && move.state() != "waiting" && move.state() != "planned") part = 1;
  part = std::min(part, 1.0);
  const auto full = static_cast<size_t>(part * width);
  return "[" + std::string(full, '#') + std::string(width - full, '.') + "] " + number(part * 100, "%.0f %%");
}

std::string stall(const ShardMoveStatus& move) {
  const auto us = move.progress().stalled_us();
  return us == 0 ? "" : number(static_cast<double>(us) / 1000, "%.0f ms");
}

void add(table& to, const ShardMoveStatus& move) {
  const slot_range range{move.first(), move.last()};
  const auto& told = move.progress();
  const bool begun = told.rows_all() > 0 || told.rows() > 0;
  to.add({move.move() == 0 ? "-" : std::to_string(move.move()), hex_range(range), share(range.count()), move.source(),
          move.target(), move.state() + (move.back_of() != 0 ? " (back)" : ""), begun ? bar(move) : "",
          begun ? grouped(told.rows()) : "", begun ? bytes_text(told.bytes()) : "",
          told.rows_per_second() == 0 ? "" : grouped(told.rows_per_second()) + "/s",
          told.behind() == 0 ? "" : grouped(told.behind()),
          move.left_seconds() > 0 ? age(static_cast<int64_t>(move.left_seconds() * 1000)) : "", stall(move),
          move.error()});
}

json to_json(const ShardMoveStatus& move) {
  const auto& told = move.progress();
  return {{"move", move.move()},
          {"first", move.first()},
          {"last", move.last()},
          {"source", move.source()},
          {"target", move.target()},
          {"state", move.state()},
          {"rows", told.rows()},
          {"rows_all", told.rows_all()},
          {"bytes", told.bytes()},
          {"behind", told.behind()},
          {"rows_per_second", told.rows_per_second()},
          {"stalled_us", told.stalled_us()},
          {"seconds", move.seconds()},
          {"left_seconds", move.left_seconds()},
          {"back_of", move.back_of()},
          {"error", move.error()}};
}

template <class Moves>
json list(const Moves& moves) {
  json out = json::array();
  for (const auto& each : moves) out.push_back(to_json(each));
  return out;
}

std::string text(const json& what) { return what.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

result<uint64_t> parse_bytes(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  std::string unit = end;
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  double factor = 1;
  if (!unit.empty() && unit != "B") {
    const auto at = std::string("KMG").find(unit[0]);
    const bool known =
        at != std::string::npos && (unit.size() == 1 || unit.substr(1) == "B" || unit.substr(1) == "IB");
    if (!known) factor = 0;
    if (known) factor = std::pow(1024.0, static_cast<double>(at + 1));
  }
  const bool digits = !text.empty() && (text[0] >= '0' && text[0] <= '9');
  if (!digits || factor == 0 || !(value > 0) || value * factor < 1 || value * factor > 1e15) {
    return error{errc::bad_parameter, "'" + text + "' is no size; e.g. 20MB, 512KiB, 1048576"};
  }
  return static_cast<uint64_t>(value * factor);
}

std::string bytes_text(uint64_t bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  return number(value, unit == 0 ? "%.0f" : "%.1f") + " " + units[unit];
}

bool is_at_rest(const ShardMoveStatus& move) {
  return move.state() == "kept" || move.state() == "done" || move.state() == "aborted";
}

std::string trouble_of(const Status& status, const std::vector<uint64_t>& moves) {
  for (const auto& each : status.shard_moves()) {
    if (std::find(moves.begin(), moves.end(), each.move()) == moves.end()) continue;
    if (each.state() == "aborted") return "move " + std::to_string(each.move()) + " was given up: " + each.error();
    if (each.state() == "kept" && !each.error().empty())
      return "move " + std::to_string(each.move()) + " cannot be finished: " + each.error();
  }
  return {};
}

std::string shards_text(const Status& status) {
  table shards({"SHARD", "NODE", ">SLOTS", ">SHARE", ">SIZE", ">TERM", ">COPIES", "STATE", "DATABASE"});
  for (const auto& each : status.shards()) {
    const std::string state = !each.problem().empty() ? each.problem()
                              : each.owner().empty()  ? "not served"
                              : !each.draining()      ? "served"
                              : each.slots() == 0     ? "drained"
                                                      : "draining";
    shards.add({each.name(), each.owner().empty() ? "-" : each.owner(), grouped(each.slots()), share(each.slots()),
                each.bytes() == 0 ? "" : bytes_text(each.bytes()),
                each.term() == 0 ? "" : std::to_string(each.term()), std::to_string(each.copies()), state,
                each.dsn().empty() ? "(configured)" : each.dsn()});
  }
  std::string out = shards.text();
  if (status.shard_moves_size() == 0) return out + "\nno moves between shards\n";
  return out + "\n" + shard_plan_text({status.shard_moves().begin(), status.shard_moves().end()});
}

std::string shard_plan_text(const std::vector<ShardMoveStatus>& plan) {
  table out({"MOVE", "SLOTS", ">SHARE", "FROM", "TO", "STATE", "COPIED", ">ROWS", ">BYTES", ">RATE", ">BEHIND",
             ">LEFT", ">STALL", "ERROR"});
  for (const auto& each : plan) add(out, each);
  return out.text();
}

std::string shards_json(const Status& status) {
  json out{{"leader", status.leader()}, {"term", status.term()}, {"shards", json::array()}};
  for (const auto& each : status.shards()) {
    out["shards"].push_back({{"name", each.name()},
                             {"dsn", each.dsn()},
                             {"node", each.owner()},
                             {"epoch", each.epoch()},
                             {"slots", each.slots()},
                             {"bytes", each.bytes()},
                             {"term", each.term()},
                             {"copies", each.copies()},
                             {"problem", each.problem()},
                             {"draining", each.draining()}});
  }
  out["moves"] = list(status.shard_moves());
  return text(out);
}

std::string shard_outcome_json(const std::string& command, bool done, bool dry_run, double seconds,
                               const std::vector<ShardMoveStatus>& moves) {
  return text(
      {{"command", command}, {"done", done}, {"dry_run", dry_run}, {"seconds", seconds}, {"moves", list(moves)}});
}

}  // namespace tern::ctl

#include "tools/ctl/shard_report.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/ctl/text.hpp"

namespace tern::ctl {
namespace {

using nlohmann::json;

constexpr double standing_seconds = 60;
constexpr std::chrono::seconds longest_refusal{5};
constexpr const char* given_up_by_operator = "an operator gave it up";  // routing's words for ternctl shard abort

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
  return {{"move", std::to_string(move.move())},
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
          {"back_of", std::to_string(move.back_of())},
          {"error", move.error()}};
}

const ShardMoveStatus* find(const Status& status, uint64_t number) {
  const auto& all = status.shard_moves();
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.move() == number; });
  return found == all.end() ? nullptr : &*found;
}

/// A later move of some of these slots from the same shard is under way or has come to its end.
bool tried_again(const Status& status, const ShardMoveStatus& failed) {
  return std::any_of(status.shard_moves().begin(), status.shard_moves().end(), [&](const ShardMoveStatus& each) {
    return each.move() > failed.move() && each.source() == failed.source() && each.state() != "aborted" &&
           each.first() <= failed.last() && failed.first() <= each.last();
  });
}

/// An order was given, and nobody carries it out: it copies nothing, and there is something to copy.
bool copies_nothing(const ShardMoveStatus& move) {
  const auto& told = move.progress();
  return move.state() == "copying" && move.seconds() > standing_seconds && told.rows_per_second() == 0 &&
         (told.rows() < told.rows_all() || told.behind() > 0 || told.rows_all() == 0);
}

std::optional<shard_trouble> trouble(const Status& status, const ShardMoveStatus& move) {
  const auto subject = "move " + std::to_string(move.move());
  const auto again = "ternctl shard move " + move.source() + " " + move.target() + " --slots " +
                     hex_range({move.first(), move.last()}) + " tries it again";
  if (move.state() == "aborted") {
    if (move.error() == given_up_by_operator || tried_again(status, move)) return std::nullopt;
    return shard_trouble{subject, move.source(), "was given up: " + move.error(), again, false};
  }
  if (move.state() == "kept" && !move.error().empty()) {
    return shard_trouble{subject, move.source(), "cannot be finished: " + move.error(),
                         "ternctl shard finish --yes tries it again, rollback goes back; both databases have it all",
                         false};
  }
  const auto refused = std::chrono::microseconds(move.progress().stalled_us());
  if ((move.state() == "deciding" || move.state() == "opening") && refused > longest_refusal) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(refused).count();
    return shard_trouble{subject, move.state() == "opening" ? move.target() : move.source(),
                         "is " + move.state() + ": nobody has served its slots for " + age(ms),
                         "see whether routing stores its maps and a storage node serves the target", true};
  }
  if (!move.error().empty() && move.state() != "done") {
    return shard_trouble{subject, move.source(), "is " + move.state() + ", with trouble: " + move.error(),
                         "it is tried again by itself; ternctl shard abort gives it up before its decision", false};
  }
  if (copies_nothing(move)) {
    return shard_trouble{subject, move.source(), "stands still: it copies nothing",
                         "see whether a storage node serves " + move.source() + ", and both databases answer", false};
  }
  return std::nullopt;
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

std::string trouble_of(const Status& status, const std::vector<uint64_t>& moves, const std::string& end) {
  for (const auto number : moves) {
    const auto name = "move " + std::to_string(number);
    const auto* found = find(status, number);
    if (found == nullptr) return name + " has ended, and the replica that leads now does not know how";
    if (found->state() == "aborted" && end != "aborted") return name + " was given up: " + found->error();
    if (found->state() == "kept" && !found->error().empty()) return name + " cannot be finished: " + found->error();
  }
  return {};
}

std::vector<shard_trouble> shard_troubles(const Status& status) {
  std::vector<shard_trouble> out;
  for (const auto& each : status.shards()) {
    if (each.problem().empty()) continue;
    out.push_back({"shard " + each.name(), each.name(), each.problem(), "see the log of its storage node", false});
  }
  for (const auto& each : status.shard_moves()) {
    if (auto found = trouble(status, each)) out.push_back(std::move(*found));
  }
  return out;
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

// A Status of routing as tables for people and as JSON for programs. Pure; docs/ternctl.md documents the JSON.
#pragma once

#include <tern/routing/v1/routing.pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "libs/base/result.hpp"
#include "tools/ctl/text.hpp"

namespace tern::ctl {

using routing::v1::MoveStatus;
using routing::v1::Status;

enum class map_kind : uint8_t { sessions, groups, storage };
/// "sessions", "groups", "storage"; errc::bad_parameter with a hint.
result<map_kind> parse_kind(const std::string& text);
std::string to_string(map_kind kind);

/// Slots of one map that belong to `node`, or of the shards it owns.
uint64_t slots_of(const Status& status, map_kind kind, const std::string& node);
/// In all three maps.
uint64_t slots_of(const Status& status, const std::string& node);
/// Slots of `range` that `node` does not own.
uint64_t slots_elsewhere(const Status& status, map_kind kind, slot_range range, const std::string& node);
/// Null: not known.
const routing::v1::NodeStatus* find_node(const Status& status, const std::string& node);
std::string service_of(const Status& status, const std::string& node);
bool is_over(const MoveStatus& move);

/// `ranges`: which of them.
struct range_filter {
  bool all_kinds = true;
  map_kind kind = map_kind::sessions;
  std::string node;  // empty: of all
};

std::string status_text(const Status& status);
std::string nodes_text(const Status& status, const std::string& service);
std::string ranges_text(const Status& status, const range_filter& which);
std::string moves_text(const Status& status);
std::string plan_text(const std::vector<MoveStatus>& plan);

/// One JSON object each, without a line end.
std::string status_json(const Status& status);
std::string nodes_json(const Status& status, const std::string& service);
std::string ranges_json(const Status& status, const range_filter& which);
std::string moves_json(const Status& status);

/// What came of migrate, drain, undrain, rebalance.
struct outcome {
  std::string command;
  bool done = false;  // what was asked for is the case; false: only accepted
  bool dry_run = false;
  std::vector<MoveStatus> plan;
  double seconds = 0;
};
std::string outcome_json(const outcome& what);
/// A line of --watch --json while it lasts.
std::string progress_json(const std::string& command, const std::string& unit, uint64_t left, uint64_t all,
                          double per_second, int64_t remaining_ms);

}  // namespace tern::ctl

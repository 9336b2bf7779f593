// Shards and the moves between them as tables for people and as JSON for programs. Pure; docs/ternctl.md documents
// the JSON.
#pragma once

#include <tern/routing/v1/routing.pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::ctl {

using routing::v1::ShardMoveStatus;
using routing::v1::Status;

/// "20MB", "512KiB", "1.5G", "1048576": bytes; K, M, G are powers of 1,024. errc::bad_parameter.
result<uint64_t> parse_bytes(const std::string& text);
/// "0 B", "12.3 MiB".
std::string bytes_text(uint64_t bytes);

/// It waits for nothing more: kept, done or aborted.
bool is_at_rest(const ShardMoveStatus& move);
/// Why one of these moves did not come to `end` (kept, done or aborted); empty: each did, or is under way.
std::string trouble_of(const Status& status, const std::vector<uint64_t>& moves, const std::string& end);

/// Something about a shard or a move that people should look at.
struct shard_trouble {
  std::string subject;  // "shard shard-0", "move 7"
  std::string shard;    // of a move: its source, or the one that should serve its slots
  std::string text;
  std::string advice;
  bool unserved = false;  // slots are served by nobody
};
/// Shards with problems, moves that failed or stand still.
std::vector<shard_trouble> shard_troubles(const Status& status);

std::string shards_text(const Status& status);
std::string shard_plan_text(const std::vector<ShardMoveStatus>& plan);
/// One JSON object each, without a line end.
std::string shards_json(const Status& status);
std::string shard_outcome_json(const std::string& command, bool done, bool dry_run, double seconds,
                               const std::vector<ShardMoveStatus>& moves);

}  // namespace tern::ctl

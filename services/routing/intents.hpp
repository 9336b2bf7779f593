// What operators want, beyond what nodes say of themselves. Kept in the meta database.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "libs/placement/moves.hpp"

namespace tern::routing {

using placement::range_kind;

/// Some slots are `target`'s as long as it is there: whole units of placement::unit_slots.
struct pin {
  range_kind kind = range_kind::sessions;
  slot_type first = 0;
  slot_type last = 0;
  std::string target;
  bool operator==(const pin&) const = default;
};

/// What is known of a shard beyond its name. One without a DSN is in the storage nodes' own configuration.
struct shard_place {
  std::string dsn;        // without a password
  uint64_t term = 0;      // highest timeline of a primary it was served from; 0: not known, or SQLite
  bool draining = false;  // it gets no slots
  bool operator==(const shard_place&) const = default;
};

/// Slots go from one shard to another. The storage map tells whether that is decided: it names source or target.
struct shard_move {
  enum class wish : uint8_t { go, abort, finish };  // numbers are stored

  uint64_t move = 0;  // unique for ever
  slot_type first = 0;
  slot_type last = 0;  // inclusive
  std::string source;
  std::string target;
  uint64_t back_of = 0;           // not 0: the way back of that move, which it replaces
  uint64_t bytes_per_second = 0;  // 0: as the storage node is set
  wish what = wish::go;
  int64_t kept_since = 0;  // seconds since 1970; not 0: the target serves, the source keeps what it had
  std::string error{};     // why it was given up, or why its end was
  bool operator==(const shard_move&) const = default;
};

struct intents {
  std::vector<pin> pins;         // by kind and first slot, without overlaps
  std::set<std::string> drains;  // nodes that shall have no ranges, or gateways that shall have no clients
  std::map<std::string, shard_place> shards;
  std::vector<shard_move> shard_moves;  // by number, without overlaps
  uint64_t last_shard_move = 0;         // highest number that was ever given

  const shard_move* find_shard_move(uint64_t move) const noexcept;
  bool is_draining(const std::string& shard) const {
    const auto at = shards.find(shard);
    return at != shards.end() && at->second.draining;
  }
  bool operator==(const intents&) const = default;
};

/// Slots first..last are no longer kept anywhere.
void unpin(intents& in, range_kind kind, slot_type first, slot_type last);
/// They are kept by what.target, and by nobody else.
void add_pin(intents& to, const pin& what);

}  // namespace tern::routing

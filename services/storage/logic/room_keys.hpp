// Names that rooms and recalls have in the tables.
#pragma once

#include <cstdint>
#include <string>

#include "libs/base/big_endian.hpp"
#include "libs/base/ids.hpp"

namespace tern::storage {

/// The conversation of a room's messages. Those of pairs never have a zero there.
inline conversation_id room_conversation(room_id room) { return {room.value, 0}; }

/// De-duplication key of the row that tells of a recall: one recall of a message per account. Messages' keys begin
/// with 'i' or 'c'.
inline std::string recall_key(uint64_t mid) {
  std::string key = "R";
  append_u64(key, mid);
  return key;
}

}  // namespace tern::storage

// Names that rooms and recalls have in the tables.
#pragma once

#include <cstdint>
#include <string>

#include "libs/base/ids.hpp"

namespace tern::storage {

/// The conversation of a room's messages. Those of pairs never have a zero there.
inline conversation_id room_conversation(room_id room) { return {room.value, 0}; }

/// De-duplication key of the row that tells of a recall: one recall of a message per account. Messages' keys begin
/// with 'i' or 'c'.
inline std::string recall_key(uint64_t mid) {
  std::string key = "R";
  for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(mid >> static_cast<unsigned>(shift));
  return key;
}

}  // namespace tern::storage

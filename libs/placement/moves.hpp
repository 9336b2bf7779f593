// A range on its way from one living node to another, as the two nodes and routing speak of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "libs/base/errc.hpp"
#include "libs/base/ids.hpp"

namespace tern::placement {

/// Which map.
enum class range_kind : uint8_t { sessions, groups };

/// To the owner of slots first..last: prepare to hand them over. Nothing changes before the maps say so.
struct move_order {
  uint64_t move = 0;  // unique for ever
  range_kind kind = range_kind::sessions;
  slot_type first = 0;
  slot_type last = 0;
  uint64_t epoch = 0;   // of the range, as routing knows it
  std::string target;   // node
  std::string address;  // of it
};

/// How it ended at the source. ok: everything of the range stands still there and the target has what there is.
struct move_result {
  uint64_t move = 0;
  errc code = errc::ok;
  uint64_t moved = 0;  // sessions or rooms handed over
  std::chrono::microseconds frozen{0};
};

}  // namespace tern::placement

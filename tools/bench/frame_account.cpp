#include "tools/bench/frame_account.hpp"

#include <cstring>

namespace tern::bench {

void put_stamp(const frame_stamp& stamp, std::string& body) {
  std::memcpy(body.data(), &stamp.due_ns, 8);
  std::memcpy(body.data() + 8, &stamp.sequence, 8);
}

std::optional<frame_stamp> read_stamp(std::string_view body) {
  if (body.size() < frame_stamp_bytes) return std::nullopt;
  frame_stamp stamp;
  std::memcpy(&stamp.due_ns, body.data(), 8);
  std::memcpy(&stamp.sequence, body.data() + 8, 8);
  return stamp;
}

void frame_account::open(uint64_t first) {
  first_ = next_ = first;
  delivered_ = holes_ = stale_ = 0;
}

bool frame_account::take(uint64_t sequence) {
  if (sequence < first_) return false;
  if (sequence < next_) {
    ++stale_;
    return false;
  }
  holes_ += sequence - next_;
  next_ = sequence + 1;
  ++delivered_;
  return true;
}

}  // namespace tern::bench

#include "tools/bench/file_window.hpp"

#include <algorithm>

namespace tern::bench {

std::optional<send_window::piece> send_window::next(time_point now) {
  if (next_ == plan_.total) return std::nullopt;
  const auto size = std::min<uint64_t>(plan_.chunk, plan_.total - next_);
  if (under_way() > 0 && under_way() + size > plan_.window) return std::nullopt;
  if (under_way() == 0) progress_ = now;
  const piece made{next_, static_cast<size_t>(size)};
  if (next_ < newest_) sent_again_ += size;
  next_ += size;
  newest_ = std::max(newest_, next_);
  return made;
}

void send_window::acknowledge(uint64_t offset, bool hole, time_point now) {
  if (offset > newest_ || offset < acknowledged_) return;
  if (offset > acknowledged_) {
    acknowledged_ = offset;
    next_ = std::max(next_, offset);  // after a rewind: what was under way came after all
    progress_ = now;
  }
  if (!hole || under_way() == 0 || rewound_to_ == acknowledged_) return;
  progress_ = now;
  ++rewinds_;
  rewind();
}

bool send_window::expire(time_point now) {
  if (under_way() == 0 || now - progress_ < plan_.timeout) return false;
  progress_ = now;
  ++timeouts_;
  rewind();
  return true;
}

void send_window::rewind() {
  rewound_to_ = acknowledged_;
  next_ = acknowledged_;
}

receive_window::verdict receive_window::take(uint64_t offset, size_t size) {
  if (offset > arrived_) {
    ++holes_;
    // Once per hole: what follows it was under way before the sender could know.
    due_ = due_ || !hole_;
    hole_ = true;
    return verdict::hole;
  }
  if (offset < arrived_) {
    // The acknowledgement may have been lost: say it again, at the pace of the others.
    ++repeated_;
    due_ = ++unanswered_ >= plan_.ack_every || complete() || due_;
    return verdict::repeated;
  }
  arrived_ += size;
  hole_ = false;
  due_ = ++unanswered_ >= plan_.ack_every || complete() || due_;
  return verdict::taken;
}

bool receive_window::acknowledgement_due() {
  if (!due_) return false;
  due_ = false;
  unanswered_ = 0;
  return true;
}

}  // namespace tern::bench

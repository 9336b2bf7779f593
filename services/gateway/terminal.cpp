#include "services/gateway/terminal.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace tern::gateway {

terminal::queues& terminal::busy() {
  if (!queues_) queues_ = std::make_unique<queues>();
  return *queues_;
}

bool terminal::offer(outbound_frame frame, uint32_t now_ms, const terminal_limits& limits, frame_writer& out) {
  if (!frame.wants_ack) {
    out.write(frame, 0);
    return true;
  }
  const bool room = window_.size() < limits.window && waiting() == 0;
  if (!room &&
      (waiting() >= limits.waiting_frames || waiting_bytes() + frame.payload.size() > limits.waiting_bytes)) {
    return false;
  }
  remember(frame.ref, limits.conversations);
  if (room) {
    write(frame, now_ms, out);
    return true;
  }
  queues& q = busy();
  q.waiting_bytes += frame.payload.size();
  q.waiting.push_back(std::move(frame));
  return true;
}

void terminal::write(const outbound_frame& frame, uint32_t now_ms, frame_writer& out) {
  // 0 means "no acknowledgement wanted", so the numbers run from 1 and start over before the sign bit.
  last_sync_id_ = last_sync_id_ == std::numeric_limits<int32_t>::max() ? 1 : last_sync_id_ + 1;
  window_.push_back({frame.ref, frame.trace, last_sync_id_, now_ms});
  out.write(frame, last_sync_id_);
}

std::optional<terminal::acknowledged> terminal::acknowledge(int32_t sync_id, uint32_t now_ms,
                                                            const terminal_limits& limits, frame_writer& out) {
  const auto found =
      std::find_if(window_.begin(), window_.end(), [&](const written_frame& one) { return one.sync_id == sync_id; });
  if (found == window_.end()) return std::nullopt;
  const acknowledged result{found->ref, found->trace, found->written_ms};
  window_.erase(found);
  while (window_.size() < limits.window && waiting() > 0) {
    outbound_frame next = std::move(queues_->waiting.front());
    queues_->waiting.pop_front();
    queues_->waiting_bytes -= next.payload.size();
    write(next, now_ms, out);
  }
  return result;
}

std::optional<uint32_t> terminal::oldest_unacked() const noexcept {
  if (window_.empty()) return std::nullopt;
  return window_.front().written_ms;
}

const inbound_frame& terminal::accept(uint8_t type, std::string payload, uint64_t trace, int64_t received_ns) {
  queues& q = busy();
  q.inbound.push_back({next_seq_++, type, std::move(payload), trace, received_ns});
  return q.inbound.back();
}

bool terminal::confirm(uint64_t seq) noexcept {
  if (seq >= next_seq_) return false;
  if (!queues_) return true;
  while (!queues_->inbound.empty() && queues_->inbound.front().seq <= seq) queues_->inbound.pop_front();
  return true;
}

const std::deque<inbound_frame>& terminal::kept() const noexcept {
  static const std::deque<inbound_frame> none;
  return queues_ ? queues_->inbound : none;
}

void terminal::remember(const delivery_ref& ref, size_t most) {
  // A receipt may overtake an older message of the other side: counted here it would hide that message for ever.
  if (ref.kind != ref_kind::message) return;
  ++uses_;
  for (newest_mid& one : newest_) {
    if (one.conversation == ref.conversation) {
      one.mid = std::max(one.mid, ref.mid);
      one.used = uses_;
      return;
    }
  }
  const newest_mid fresh{ref.conversation, ref.mid, uses_};
  if (newest_.size() < most) {
    newest_.push_back(fresh);
    return;
  }
  const auto oldest = std::min_element(newest_.begin(), newest_.end(),
                                       [](const newest_mid& a, const newest_mid& b) { return a.used < b.used; });
  if (oldest != newest_.end()) *oldest = fresh;
}

std::vector<delivery_ref> terminal::take_held() {
  return queues_ ? std::exchange(queues_->held, {}) : std::vector<delivery_ref>{};
}

terminal::bind_state terminal::state() const {
  bind_state out;
  out.unacked.reserve(window_.size() + waiting() + (queues_ ? queues_->held.size() : 0));
  if (queues_) out.unacked = queues_->held;
  for (const written_frame& one : window_) out.unacked.push_back(one.ref);
  if (queues_) {
    for (const outbound_frame& one : queues_->waiting) out.unacked.push_back(one.ref);
  }
  out.written.reserve(newest_.size());
  for (const newest_mid& one : newest_) out.written.push_back({ref_kind::message, one.conversation, one.mid});
  out.next_seq = kept().empty() ? next_seq_ : kept().front().seq;
  return out;
}

void terminal::trim() {
  if (queues_ && queues_->inbound.empty() && queues_->waiting.empty() && queues_->held.empty()) queues_.reset();
  if (window_.capacity() > window_.size()) window_.shrink_to_fit();
  if (newest_.capacity() > newest_.size()) newest_.shrink_to_fit();
}

}  // namespace tern::gateway

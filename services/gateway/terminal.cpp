#include "services/gateway/terminal.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace tern::gateway {

terminal::queues& terminal::busy() {
  if (!queues_) queues_ = std::make_unique<queues>();
  return *queues_;
}

terminal::verdict terminal::admit(const delivery_ref& ref, size_t bytes, const terminal_limits& limits) {
  if (ref.kind == ref_kind::room) {
    const newest_mid* known = find_newest(ref.conversation);
    if (known != nullptr && ref.mid <= known->mid) return verdict::repeated;
  }
  // An owner that got two Binds sends what the second did not know of; the client has it before itself.
  if (rebound_ && ref.kind == ref_kind::message && is_unacked(ref)) return verdict::repeated;
  const bool room = window_.size() < limits.window && waiting() == 0;
  if (!room && (waiting() >= limits.waiting_frames || waiting_bytes() + bytes > limits.waiting_bytes)) {
    return verdict::too_slow;
  }
  if (ref.kind != ref_kind::batch) remember(ref, limits.conversations);
  return room ? verdict::write : verdict::wait;
}

int32_t terminal::take_place(const delivery_ref& ref, uint64_t trace, uint32_t now_ms) {
  // 0 means "no acknowledgement wanted", so the numbers run from 1 and start over before the sign bit.
  last_sync_id_ = last_sync_id_ == std::numeric_limits<int32_t>::max() ? 1 : last_sync_id_ + 1;
  window_.push_back({ref, trace, last_sync_id_, now_ms});
  return last_sync_id_;
}

void terminal::wait(outbound_frame frame) {
  queues& q = busy();
  q.waiting_bytes += frame.bytes().size();
  q.waiting.push_back(std::move(frame));
}

bool terminal::offer(outbound_frame frame, uint32_t now_ms, const terminal_limits& limits, frame_writer& out) {
  if (!frame.wants_ack) {
    out.write(frame, 0);
    return true;
  }
  switch (admit(frame.ref, frame.bytes().size(), limits)) {
    case verdict::write: out.write(frame, take_place(frame.ref, frame.trace, now_ms)); return true;
    case verdict::wait: wait(std::move(frame)); return true;
    case verdict::repeated: return true;
    case verdict::too_slow: break;
  }
  return false;
}

std::optional<terminal::acknowledged> terminal::acknowledge(int32_t sync_id, uint32_t now_ms,
                                                            const terminal_limits& limits, frame_writer& out) {
  const auto found =
      std::find_if(window_.begin(), window_.end(), [&](const written_frame& one) { return one.sync_id == sync_id; });
  if (found == window_.end()) return std::nullopt;
  const acknowledged result{found->ref, found->trace, found->written_ms};
  window_.erase(found);
  // A list is written as far as its last message, for an owner whose predecessor did not hear of this. One of a room
  // counts as such: what comes after it is not live yet.
  if (result.ref.kind == ref_kind::batch) {
    const bool of_room = result.ref.conversation.lo == 0;
    remember({of_room ? ref_kind::batch : ref_kind::message, result.ref.conversation, result.ref.mid},
             limits.conversations);
  }
  while (window_.size() < limits.window && waiting() > 0) {
    outbound_frame next = std::move(queues_->waiting.front());
    queues_->waiting.pop_front();
    queues_->waiting_bytes -= next.bytes().size();
    out.write(next, take_place(next.ref, next.trace, now_ms));
  }
  return result;
}

bool terminal::awaits(int32_t sync_id) const noexcept {
  return std::any_of(window_.begin(), window_.end(),
                     [&](const written_frame& one) { return one.sync_id == sync_id; });
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

terminal::newest_mid* terminal::find_newest(const conversation_id& conversation) noexcept {
  for (newest_mid& one : newest_) {
    if (one.conversation == conversation) return &one;
  }
  return nullptr;
}

void terminal::remember(const delivery_ref& ref, size_t most) {
  // A receipt may overtake an older message of the other side: counted here it would hide that message for ever.
  if (ref.kind == ref_kind::receipt || ref.kind == ref_kind::notice) return;
  ++uses_;
  if (newest_mid* known = find_newest(ref.conversation)) {
    known->mid = std::max(known->mid, ref.mid);
    if (ref.kind == ref_kind::room) known->kind = ref.kind;
    known->used = uses_;
    return;
  }
  const newest_mid fresh{ref.conversation, ref.mid, uses_, ref.kind, false, false};
  if (newest_.size() < most) {
    newest_.push_back(fresh);
    return;
  }
  // Acknowledgements not told yet would be lost with the entry.
  const auto oldest = std::min_element(newest_.begin(), newest_.end(), [](const newest_mid& a, const newest_mid& b) {
    return a.owed != b.owed ? b.owed : a.used < b.used;
  });
  if (oldest != newest_.end()) *oldest = fresh;
}

const delivery_ref* terminal::first_unacked(ref_kind kind, const conversation_id& conversation) const noexcept {
  const auto same = [&](const auto& one) { return one.ref.kind == kind && one.ref.conversation == conversation; };
  const auto written = std::find_if(window_.begin(), window_.end(), same);
  if (written != window_.end()) return &written->ref;
  if (!queues_) return nullptr;
  const auto waits = std::find_if(queues_->waiting.begin(), queues_->waiting.end(), same);
  return waits == queues_->waiting.end() ? nullptr : &waits->ref;
}

bool terminal::is_unacked(const delivery_ref& ref) const noexcept {
  const auto same = [&](const auto& one) { return one.ref == ref; };
  return std::any_of(window_.begin(), window_.end(), same) ||
         (waiting() > 0 && std::any_of(queues_->waiting.begin(), queues_->waiting.end(), same));
}

uint64_t terminal::acked_up_to(const newest_mid& room) const noexcept {
  const delivery_ref* first = first_unacked(ref_kind::room, room.conversation);
  return first == nullptr ? room.mid : first->mid - 1;
}

bool terminal::tellable(const newest_mid& room) const noexcept {
  // What came before the first live message of the room came in lists.
  return room.owed && first_unacked(ref_kind::batch, room.conversation) == nullptr;
}

bool terminal::note_room_ack(const delivery_ref& ref) {
  newest_mid* room = find_newest(ref.conversation);
  if (room == nullptr || room->kind != ref_kind::room) return false;
  // Up to a message that was acknowledged itself: nothing is concluded from what was never written here.
  if (ref.kind == ref_kind::room && acked_up_to(*room) >= ref.mid) room->owed = true;
  if (room->noted || !tellable(*room)) return false;
  room->noted = true;
  return true;
}

std::optional<uint64_t> terminal::take_room_ack(uint64_t room) {
  newest_mid* known = find_newest({room, 0});
  if (known == nullptr) return std::nullopt;
  known->noted = false;
  if (!tellable(*known)) return std::nullopt;
  known->owed = false;
  return acked_up_to(*known);
}

std::vector<terminal::room_ack> terminal::take_room_acks() {
  std::vector<room_ack> out;
  for (newest_mid& one : newest_) {
    if (!tellable(one)) continue;
    one.owed = false;
    out.push_back({one.conversation.hi, acked_up_to(one)});
  }
  return out;
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
  for (const newest_mid& one : newest_) out.written.push_back({one.kind, one.conversation, one.mid});
  out.next_seq = kept().empty() ? next_seq_ : kept().front().seq;
  return out;
}

void terminal::trim() {
  if (queues_ && queues_->inbound.empty() && queues_->waiting.empty() && queues_->held.empty()) queues_.reset();
  if (window_.capacity() > window_.size()) window_.shrink_to_fit();
  if (newest_.capacity() > newest_.size()) newest_.shrink_to_fit();
}

}  // namespace tern::gateway

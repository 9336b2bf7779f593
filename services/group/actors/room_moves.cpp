// A room on its way to another node: it begins where the former owner stopped, and stands still for the next one.
#include <algorithm>

#include "services/group/actors/room_state.hpp"

namespace tern::group {
namespace {

/// A range that changed so lately may still have appends of its former owner on their way to storage.
constexpr std::chrono::seconds takeover_doubt{5};
constexpr uint32_t written_format = 1;

}  // namespace

void room_state::take_up() {
  uint32_t format = 0;
  std::string body;
  const auto found = env_->moves == nullptr ? handover::found::nothing : env_->moves->take(room_.value, format, body);
  if (found == handover::found::wait) {
    stage_ = stage::asking;
    return;
  }
  if (found != handover::found::state || !resume(format, body)) {
    const int64_t changed_ns = env_->ranges_changed_ns.load(std::memory_order_relaxed);
    const auto since = env_->time.now().time_since_epoch() - std::chrono::nanoseconds{changed_ns};
    if (changed_ns != 0 && since < takeover_doubt) order_.doubt();
  }
  open();
}

/// False: it says nothing about this room.
bool room_state::resume(uint32_t format, const std::string& body) {
  handover::v1::RoomState from;
  if (format > written_format || !from.ParseFromString(body)) return false;
  if (from.room() != room_.value || from.has_live()) return false;
  order_.resume(from.head());
  return true;
}

void room_state::open() {
  stage_ = stage::open;
  held_bytes_ = 0;
  for (request_event& one : std::exchange(held_, {})) on(one);
}

void room_state::hold(request_event& what, command which) {
  const size_t bytes = bytes_of_request(what.request);
  if (held_.size() >= env_->config.room_queue_requests || held_bytes_ + bytes > env_->config.room_queue_bytes) {
    env_->metrics.count(which, outcome::overload);
    return refuse(what.who, errc::overload);
  }
  held_bytes_ += bytes;
  held_.push_back(std::move(what));
}

void room_state::on(freeze_event& what) {
  if (stage_ != stage::open || lost_) return env_->moves->skip(what.move, stage_ == stage::asking);
  stage_ = stage::freezing;
  move_ = what.move;
}

void room_state::on(thaw_event& what) {
  if (move_ != what.move) return;
  if (stage_ == stage::freezing || (stage_ == stage::away && what.all)) open();
}

void room_state::on(decided_event&) {
  if (stage_ == stage::asking) take_up();
}

/// Storage owes nothing. What goes on from here begins anew at the next owner: a room whose head nobody has asked for
/// yet, and one in doubt about what was stored.
void room_state::hand_over() {
  if (!order_.still()) {
    env_->moves->skip(move_, !order_.interested().empty());
    open();
  } else {
    handover::v1::RoomState state;
    state.set_room(room_.value);
    state.set_head(order_.fanned());
    stage_ = stage::away;
    if (!env_->moves->put(move_, room_.value, written_format, state.SerializeAsString())) open();
  }
  flush();
}

}  // namespace tern::group

// A virtual room on its way to another node: it begins where the former owner stopped, and stands still for the next
// one.
#include <algorithm>

#include "services/group/live/live_actor.hpp"

namespace tern::group::live {
namespace {

constexpr uint32_t written_format = 1;

}  // namespace

void vroom_state::take_up() {
  uint32_t format = 0;
  std::string body;
  const auto found = env_->moves == nullptr ? handover::found::nothing : env_->moves->take(id_.value, format, body);
  if (found == handover::found::wait) {
    stage_ = stage::asking;
    return;
  }
  if (found == handover::found::state) resume(format, body);  // without one: as after a takeover
  open();
}

/// False: it says nothing about this room. One without an owner is over.
bool vroom_state::resume(uint32_t format, const std::string& body) {
  handover::v1::RoomState all;
  if (format > written_format || !all.ParseFromString(body)) return false;
  if (all.room() != id_.value || !all.has_live()) return false;
  const handover::v1::LiveRoomState& from = all.live();
  const auto now = env_->time.now();
  if (from.owner() == 0) {
    room_->resume_over(now);
    return true;
  }
  if (from.version() == 0 || static_cast<uint64_t>(from.granted_size()) > env_->config.vroom_granted) return false;
  v1::LiveState state;
  state.set_vroom(id_.value);
  state.set_version(from.version());
  state.set_owner(from.owner());
  state.set_domain(from.domain());
  *state.mutable_granted() = from.granted();
  return room_->resume(std::move(state), from.seq(), now, now + env_->config.vroom_settle);
}

void vroom_state::open() {
  stage_ = stage::open;
  for (asked& one : std::exchange(held_, {})) room_->take(std::move(one), env_->time.now());
}

void vroom_state::hold(asked& what) {
  if (held_.size() < env_->config.vroom_waiting) {
    held_.push_back(std::move(what));
  } else if (what.item.has_push()) {
    refuse(what, errc::overload);
  } else {
    answer(what, errc::overload, nullptr);
  }
}

void vroom_state::on(freeze_event& what) {
  if (stage_ != stage::open || leaving_) return env_->moves->skip(what.move, stage_ == stage::asking);
  room_->end_pause(env_->time.now());
  stage_ = stage::freezing;
  move_ = what.move;
}

void vroom_state::on(thaw_event& what) {
  if (move_ != what.move) return;
  if (stage_ == stage::freezing || (stage_ == stage::away && what.all)) open();
}

void vroom_state::on(decided_event&) {
  if (stage_ == stage::asking) take_up();
}

void vroom_state::hand_over() {
  if (room_->now_is() == live_room::phase::unknown) {
    env_->moves->skip(move_, !room_->waiting().empty());
    open();
    return flush();
  }
  handover::v1::RoomState all;
  all.set_room(id_.value);
  handover::v1::LiveRoomState& state = *all.mutable_live();
  if (room_->now_is() == live_room::phase::live) {
    const v1::LiveState& now = room_->state();
    state.set_version(now.version());
    state.set_owner(now.owner());
    state.set_domain(now.domain());
    *state.mutable_granted() = now.granted();
    state.set_seq(room_->seq());
  }
  stage_ = stage::away;
  if (!env_->moves->put(move_, id_.value, written_format, all.SerializeAsString())) open();
  flush();
}

}  // namespace tern::group::live

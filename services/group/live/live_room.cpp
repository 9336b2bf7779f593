#include "services/group/live/live_room.hpp"

#include <algorithm>
#include <utility>

namespace tern::group::live {

void live_room::take(asked what, clock::time_point now) {
  if (phase_ == phase::live && !paused(now) && !waiting_.empty()) end_pause(now);
  switch (phase_) {
    case phase::unknown: return meet(what, now);
    case phase::live:
      // Interests come before what waits. What else comes stays behind it.
      return paused(now) && !what.item.has_interest() ? wait(what) : handle(what, now);
    case phase::over: return answer_without_room(what);
  }
}

void live_room::meet(asked& what, clock::time_point now) {
  v1::LiveRequest& item = what.item;
  if (item.has_create()) {
    if (!port_.begin(false)) return port_.answer(what, errc::overload, nullptr);
    v1::LiveState made;
    made.set_vroom(id_.value);
    made.set_version(1);
    made.set_owner(item.account());
    made.set_domain(item.domain());
    start(std::move(made), now);
  } else if (item.interest().on() && tells_us(item.interest().known())) {
    if (!port_.begin(true)) return port_.answer(what, errc::overload, nullptr);
    start(item.interest().known(), now);
  } else if (now < grace_) {
    return wait(what);
  } else {
    return answer_without_room(what);
  }
  handle(what, now);
  // An end of interest that waited is older than the interest we have just taken from the same gateway.
  std::erase_if(waiting_, [&](const asked& one) {
    const bool stale = one.from == what.from && one.item.has_interest() && !one.item.interest().on();
    if (stale) port_.answer(one, errc::ok, nullptr);
    return stale;
  });
  go_on(now);
}

void live_room::wait(asked& what) {
  if (waiting_.size() < limits_.waiting) {
    waiting_.push_back(std::move(what));
  } else if (what.item.has_push()) {
    port_.refuse(what, errc::overload);
  } else {
    port_.answer(what, errc::overload, nullptr);
  }
}

/// What waited, in its order; the room may be over before the last of it.
void live_room::go_on(clock::time_point now) {
  for (asked& one : std::exchange(waiting_, {})) take(std::move(one), now);
}

bool live_room::resume(v1::LiveState state, uint64_t seq, clock::time_point now, clock::time_point pause) {
  if (!port_.begin(true)) return false;
  seq_ = seq;
  pause_ = pause;
  start(std::move(state), now);
  return true;
}

void live_room::resume_over(clock::time_point now) {
  phase_ = phase::over;
  since_ = now;
}

void live_room::end_pause(clock::time_point now) {
  pause_ = {};
  if (phase_ == phase::live && !waiting_.empty()) go_on(now);
}

void live_room::answer_without_room(const asked& what) {
  const v1::LiveRequest& item = what.item;
  if (item.has_push()) return port_.refuse(what, errc::no_such_object);
  const bool done = (item.has_remove() && item.again()) || (item.has_interest() && !item.interest().on());
  const errc code = done ? errc::ok : item.has_create() ? errc::exists : errc::no_such_object;
  port_.answer(what, code, nullptr);
}

void live_room::start(v1::LiveState state, clock::time_point now) {
  phase_ = phase::live;
  state_ = std::move(state);
  since_ = now;
}

void live_room::finish(ending why, clock::time_point now) {
  phase_ = phase::over;
  since_ = now;
  port_.tell_gone(interested_);
  interested_.clear();
  watching_.clear();
  port_.ended(why);
}

void live_room::handle(asked& what, clock::time_point now) {
  const v1::LiveRequest& item = what.item;
  since_ = now;
  switch (item.op_case()) {
    case v1::LiveRequest::kCreate: return create(what);
    case v1::LiveRequest::kRemove: return remove(what, now);
    case v1::LiveRequest::kGrant: return grant(what);
    case v1::LiveRequest::kInterest: return interest(what);
    case v1::LiveRequest::kPush: return push(what);
    default: return port_.answer(what, errc::bad_interface, nullptr);
  }
}

void live_room::create(const asked& what) {
  const bool ours = what.item.account() == state_.owner() && what.item.domain() == state_.domain();
  if (!ours) return port_.answer(what, errc::exists, nullptr);
  listen(what.from, true);
  port_.answer(what, errc::ok, &state_);
}

void live_room::remove(const asked& what, clock::time_point now) {
  if (what.item.domain() != state_.domain()) return port_.answer(what, errc::no_such_object, nullptr);
  if (what.item.account() != state_.owner()) return port_.answer(what, errc::permission_denied, nullptr);
  port_.answer(what, errc::ok, nullptr);
  finish(ending::removed, now);
}

void live_room::grant(const asked& what) {
  const uint64_t target = what.item.grant().account();
  const bool on = what.item.grant().on();
  if (what.item.domain() != state_.domain()) return port_.answer(what, errc::no_such_object, nullptr);
  if (what.item.account() != state_.owner()) return port_.answer(what, errc::permission_denied, nullptr);
  if (target == state_.owner() || target == 0) return port_.answer(what, errc::bad_parameter, nullptr);
  auto& granted = *state_.mutable_granted();
  const auto at = std::find(granted.begin(), granted.end(), target);
  const bool has = at != granted.end();
  if (on && !has && static_cast<uint64_t>(granted.size()) >= limits_.granted) {
    return port_.answer(what, errc::over_entry, nullptr);
  }
  if (has != on) {
    on ? granted.Add(target) : static_cast<void>(granted.erase(at));
    state_.set_version(state_.version() + 1);
    for (const gateway_ptr& one : interested_) {
      if (one != what.from) port_.tell_state(state_, one);  // the caller's answer has it
    }
  }
  port_.answer(what, errc::ok, &state_);
}

void live_room::interest(const asked& what) {
  const v1::LiveInterest& item = what.item.interest();
  if (!item.on()) {
    std::erase(interested_, what.from);
    std::erase(watching_, what.from);
    return port_.answer(what, errc::ok, nullptr);
  }
  const bool knows =
      tells_us(item.known()) && item.known().owner() == state_.owner() && item.known().domain() == state_.domain();
  if (!knows && what.item.domain() != state_.domain()) return port_.answer(what, errc::no_such_object, nullptr);
  if (knows && item.known().version() > state_.version()) {
    state_ = item.known();
    for (const gateway_ptr& one : interested_) {
      if (one != what.from) port_.tell_state(state_, one);
    }
  }
  listen(what.from, !item.no_frames());
  port_.answer(what, errc::ok, &state_);
}

void live_room::push(asked& what) {
  if (what.item.domain() != state_.domain()) return port_.refuse(what, errc::no_such_object);
  if (!may_push(what.item.account())) return port_.refuse(what, errc::permission_denied);
  v1::LivePush& from = *what.item.mutable_push();
  v1::LiveFrame frame;
  frame.set_vroom(id_.value);
  frame.set_seq(++seq_);
  frame.set_sender(what.item.account());
  frame.set_id(from.id() != 0 ? from.id() : static_cast<int64_t>(seq_));
  frame.set_dtype(from.dtype());
  frame.set_body(std::move(*from.mutable_body()));
  frame.set_received_ns(from.received_ns());
  port_.fan_out(frame, watching_);
}

void live_room::listen(const gateway_ptr& stream, bool frames) {
  if (std::find(interested_.begin(), interested_.end(), stream) == interested_.end()) interested_.push_back(stream);
  if (!frames) {
    std::erase(watching_, stream);
  } else if (std::find(watching_.begin(), watching_.end(), stream) == watching_.end()) {
    watching_.push_back(stream);
  }
}

bool live_room::tells_us(const v1::LiveState& known) const {
  return known.vroom() == id_.value && known.version() != 0 && known.owner() != 0;
}

bool live_room::may_push(uint64_t account) const {
  const auto& granted = state_.granted();
  return account == state_.owner() || std::find(granted.begin(), granted.end(), account) != granted.end();
}

void live_room::left(const gateway_ptr& stream) {
  std::erase(interested_, stream);
  std::erase(watching_, stream);
  // Nobody hears the answers any more. A push is the sender's all the same, and a removal or a grant its will.
  std::erase_if(waiting_, [&](const asked& one) { return one.from == stream && one.item.has_interest(); });
}

void live_room::on_time(clock::time_point now) {
  if (phase_ == phase::unknown && now >= grace_) {
    go_on(now);
  } else if (phase_ == phase::live && !waiting_.empty() && !paused(now)) {
    end_pause(now);
  } else if (phase_ == phase::live && now - since_ >= limits_.idle) {
    finish(ending::idle, now);
  }
}

void live_room::abandon() {
  for (const asked& one : std::exchange(waiting_, {})) {
    if (one.item.has_push()) {
      port_.refuse(one, errc::wrong_owner);
    } else {
      port_.answer(one, errc::wrong_owner, nullptr);
    }
  }
  interested_.clear();
  watching_.clear();
  if (phase_ == phase::live) port_.ended(ending::moved);
  phase_ = phase::over;
}

clock::time_point live_room::due() const {
  switch (phase_) {
    case phase::unknown: return grace_;
    case phase::live: return waiting_.empty() ? since_ + limits_.idle : pause_;
    case phase::over: break;
  }
  return since_ + limits_.gone;
}

bool live_room::may_leave(clock::time_point now) const {
  if (phase_ == phase::unknown) return waiting_.empty();
  return phase_ == phase::over && now - since_ >= limits_.gone;
}

}  // namespace tern::group::live

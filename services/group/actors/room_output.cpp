// What a room sends: frames, answers, and who is gone.
#include <algorithm>

#include "libs/log/log.hpp"
#include "services/group/actors/room_state.hpp"

namespace tern::group {

v1::GroupReply& room_state::out(const session_ptr& to) {
  for (auto& [stream, items] : out_) {
    if (stream == to) return items.emplace_back();
  }
  out_.emplace_back(to, std::vector<v1::GroupReply>{});
  return out_.back().second.emplace_back();
}

void room_state::fan_out(v1::RoomFrame& what, const std::vector<session_ptr>& to) {
  what.set_room(room_.value);
  env_->metrics.frames_total.add(static_cast<double>(to.size()));
  env_->metrics.frame_bytes_total.add(static_cast<double>(to.size() * what.body().size()));
  log::trace(what.trace(), "group", "fanout", {{"mid", what.mid()}, {"sessions", to.size()}});
  for (size_t i = 0; i + 1 < to.size(); ++i) *out(to[i]).mutable_frame() = what;
  if (!to.empty()) *out(to.back()).mutable_frame() = std::move(what);
  fanned_out_ = true;
}

/// A message of the moment goes to whoever is interested now. It has no place among those that are stored.
void room_state::pass_live(const caller& who, v1::GroupRequest& request) {
  v1::RoomLive& from = *request.mutable_live();
  v1::RoomFrame frame;
  frame.set_room(room_.value);
  frame.set_live(true);
  frame.set_sender(from.sender());
  frame.set_accepted_ns(from.accepted_ns());
  frame.set_trace(request.trace());
  frame.set_body(std::move(*from.mutable_body()));
  const auto& to = order_.interested();
  env_->metrics.live_total.add(static_cast<double>(to.size()));
  log::trace(request.trace(), "group", "fanout", {{"live", true}, {"sessions", to.size()}});
  for (const session_ptr& one : to) *out(one).mutable_frame() = frame;
  env_->metrics.count(command::live, outcome::ok);
  v1::Answer answer;
  send_answer(who, answer);
}

void room_state::tell_gone(const storage::v1::RoomChanged& what, const std::vector<session_ptr>& to) {
  env_->metrics.gone_total.add(what.gone_size());
  for (const session_ptr& one : to) {
    v1::RoomGone& gone = *out(one).mutable_gone();
    gone.set_room(room_.value);
    gone.set_version(what.version());
    *gone.mutable_accounts() = what.gone();
  }
}

void room_state::send_answer(const caller& who, v1::Answer& what) {
  what.set_call(who.call);
  *out(who.stream).mutable_answer() = what;
}

void room_state::refuse(const caller& who, errc code) {
  v1::Answer& answer = *out(who.stream).mutable_answer();
  answer.set_call(who.call);
  answer.set_code(static_cast<int32_t>(code));
}

void room_state::flush() {
  for (auto& [stream, items] : out_) {
    if (!stream->up || stream->out->send_all(items)) continue;
    const auto live = std::erase_if(items, [](const v1::GroupReply& one) { return one.frame().live(); });
    if (live != 0) {
      env_->metrics.live_dropped_total.add(static_cast<double>(live));
      if (items.empty() || stream->out->send_all(items)) continue;
    }
    // A frame cannot be left out: the node comes back with a new stream, is told the head and reads what it missed.
    env_->metrics.streams_cut_total.add();
    stream->out->close();
  }
  out_.clear();
  if (!std::exchange(fanned_out_, false)) return;
  const int64_t now_ns = env_->time.now().time_since_epoch().count();
  env_->metrics.fanout_seconds.observe(static_cast<double>(now_ns - answered_ns_) / 1e9);
}

void room_state::after_work() {
  flush();
  const auto interests = static_cast<int64_t>(order_.interested().size());
  env_->metrics.interests += interests - counted_interests_;
  counted_interests_ = interests;
  if (lost_) {
    if (asked_ == 0) end();
    return;
  }
  if (stage_ == stage::freezing && asked_ == 0) hand_over();
  const bool idle_now = asked_ == 0 && stage_ == stage::open && order_.idle();
  if (idle_now && !idle_) {
    idle_since_ = env_->time.now();
    poke_in(env_->config.linger);
  }
  idle_ = idle_now;
}

void room_state::end() {
  leaving_ = true;
  self_->quit();
}

}  // namespace tern::group

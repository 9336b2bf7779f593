#include "services/group/live/live_actor.hpp"

#include <algorithm>

#include "libs/actor/wheel.hpp"
#include "services/group/live/directory.hpp"
#include "services/group/live/range_ages.hpp"

namespace tern::group::live {
namespace {

/// Without a lease nothing ends; a look again is due after this.
constexpr std::chrono::seconds look_again{1};
/// Timers are no longer: the wheel keeps the memory of an actor that has ended until then.
constexpr std::chrono::seconds longest_sleep{30};

/// May be lost on a link that is full: live data.
bool droppable(const v1::LiveReply& item) { return item.has_frame() || item.has_refused(); }

/// Frames of a batch, to be counted when they are gone.
struct tally {
  void add(const v1::LiveReply& item) {
    if (!item.has_frame()) return;
    ++frames;
    bytes += item.frame().body().size();
  }
  void count(const live_metrics& into) const {
    if (frames == 0) return;
    into.frames_out_total.add(static_cast<double>(frames));
    into.bytes_out_total.add(static_cast<double>(bytes));
  }
  size_t frames = 0;
  size_t bytes = 0;
};

}  // namespace

vroom_state::~vroom_state() {
  if (env_ == nullptr) return;
  live_metrics& metrics = env_->metrics.live;
  metrics.interests -= counted_interests_;
  if (counted_) --metrics.rooms;
  if (!leaving_) end_streams();
  held_.clear();
  room_.reset();  // what it holds counts in env_, which may end with the last actor
  --metrics.actors;
}

/// An exception ended the actor. Gateways learn from the end of their streams that their interests are gone, and come
/// back with what they know.
void vroom_state::end_streams() {
  if (stage_ == stage::away) env_->moves->spoil(slot_of(id_));
  env_->vrooms->forget(id_, self_->id());
  for (const asked& one : held_) one.from->out->close();
  for (const gateway_ptr& one : room_->interested()) one->out->close();
  for (const asked& one : room_->waiting()) one.from->out->close();
}

void vroom_state::init(const environment& env, room_id id, uint64_t epoch) {
  env_ = &env;
  id_ = id;
  epoch_ = epoch;
  ++env.metrics.live.actors;
  const auto now = env.time.now();
  const auto map = env.cluster->get();
  const placement::range* range = map->groups.find(slot_of(id));
  const bool known = range != nullptr && range->owner == env.node && range->epoch == epoch;
  const group_config& c = env.config;
  live_room::port& out_port = *this;
  room_.emplace(id, out_port);
  room_->init({c.vroom_idle, c.vroom_gone, c.vroom_granted, c.vroom_waiting},
              (known ? env.range_ages->since(*range, now) : now) + c.vroom_grace);
}

void vroom_state::on_mail(mail& what) {
  ++mails_;
  ours_ = ours();
  if (stage_ == stage::fresh) take_up();
  for (event& one : what.events) std::visit([this](auto& that) { on(that); }, one);
  after_work();
}

void vroom_state::on_poke() {
  if (leaving_ || poke_at_ == clock::time_point{} || env_->time.now() < poke_at_) return;
  poke_at_ = {};
  if (stage_ != stage::open) {
    poke_at(env_->time.now() + look_again);  // nothing may end now
  } else if (ours()) {
    room_->on_time(env_->time.now());
    after_work();
  } else {
    // Whoever owns the room now decides; the next map or the lease tells which.
    poke_at(env_->time.now() + look_again);
  }
}

bool vroom_state::ours() const { return !leaving_ && owns(*env_, *env_->cluster->get(), id_, epoch_); }

void vroom_state::on(request_event& what) {
  if (what.what.item.epoch() != epoch_ || !ours_) {
    return what.what.item.has_push() ? refuse(what.what, errc::wrong_owner)
                                     : answer(what.what, errc::wrong_owner, nullptr);
  }
  // A push changes nothing that is handed over: while the room is here it goes on, in its place among what waits.
  const bool passes =
      stage_ == stage::open || (stage_ != stage::asking && what.what.item.has_push() && held_.empty());
  if (!passes) return hold(what.what);
  room_->take(std::move(what.what), env_->time.now());
}

void vroom_state::on(gateway_gone_event& what) {
  room_->left(what.stream);
  std::erase_if(held_, [&](const asked& one) { return one.from == what.stream && one.item.has_interest(); });
}

void vroom_state::on(range_lost_event&) {
  for (asked& one : std::exchange(held_, {})) {
    one.item.has_push() ? refuse(one, errc::wrong_owner) : answer(one, errc::wrong_owner, nullptr);
  }
  room_->abandon();
  leaving_ = true;  // out of the directory already
}

void vroom_state::answer(const asked& what, errc code, const v1::LiveState* state) {
  if (const auto which = command_of(what.item)) env_->metrics.live.count(*which, outcome_of(code, false));
  v1::LiveAnswer& made = *out(what.from).mutable_answer();
  made.set_call(what.item.call());
  made.set_code(static_cast<int32_t>(code));
  if (state != nullptr) *made.mutable_state() = *state;
}

void vroom_state::refuse(const asked& what, errc code) {
  const auto why = code == errc::permission_denied ? drop::denied
                   : code == errc::wrong_owner     ? drop::wrong_owner
                   : code == errc::overload        ? drop::room_queue
                                                   : drop::no_room;
  env_->metrics.live.dropped(why);
  if (code == errc::overload) return;  // silently: an answer per frame would make it worse
  v1::LiveRefused& made = *out(what.from).mutable_refused();
  made.set_vroom(id_.value);
  made.set_conn(what.item.push().conn());
  made.set_code(static_cast<int32_t>(code));
}

void vroom_state::fan_out(v1::LiveFrame& frame, const std::vector<gateway_ptr>& to) {
  env_->metrics.live.frames_in_total.add();
  env_->metrics.live.bytes_in_total.add(static_cast<double>(frame.body().size()));
  if (to.empty()) return;
  for (size_t i = 0; i + 1 < to.size(); ++i) *out(to[i]).mutable_frame() = frame;
  *out(to.back()).mutable_frame() = std::move(frame);
}

void vroom_state::tell_state(const v1::LiveState& state, const gateway_ptr& to) { *out(to).mutable_state() = state; }

void vroom_state::tell_gone(const std::vector<gateway_ptr>& to) {
  for (const gateway_ptr& one : to) out(one).mutable_gone()->set_vroom(id_.value);
}

bool vroom_state::begin(bool adopted) {
  live_metrics& metrics = env_->metrics.live;
  // Rooms of a node that went are spread over the others, which may have their full number already.
  const uint64_t most = adopted ? 2 * env_->config.vrooms_per_node : env_->config.vrooms_per_node;
  if (metrics.rooms.fetch_add(1) >= static_cast<int64_t>(most)) {
    --metrics.rooms;
    return false;
  }
  counted_ = true;
  (adopted ? metrics.adopted_total : metrics.created_total).add();
  return true;
}

void vroom_state::ended(ending why) {
  env_->metrics.live.ended(why);
  if (std::exchange(counted_, false)) --env_->metrics.live.rooms;
}

v1::LiveReply& vroom_state::out(const gateway_ptr& to) {
  for (auto& [stream, items] : out_) {
    if (stream == to) return items.emplace_back();
  }
  out_.emplace_back(to, std::vector<v1::LiveReply>{});
  return out_.back().second.emplace_back();
}

void vroom_state::flush() {
  for (auto& [stream, items] : out_) {
    if (!stream->up) continue;
    tally sent;
    for (const v1::LiveReply& one : items) sent.add(one);
    if (stream->out->send_all(items)) {
      sent.count(env_->metrics.live);
    } else {
      send_one_by_one(stream, items);
    }
  }
  out_.clear();
}

/// The link is full: what is live may be left out, the rest not. A gateway comes back with a new stream and its
/// interests.
void vroom_state::send_one_by_one(const gateway_ptr& to, std::vector<v1::LiveReply>& items) {
  for (v1::LiveReply& one : items) {
    const bool may_drop = droppable(one);
    const bool frame = one.has_frame();
    tally sent;
    sent.add(one);
    if (to->out->send(std::move(one))) {
      sent.count(env_->metrics.live);
      continue;
    }
    if (frame) env_->metrics.live.dropped(drop::sink);
    if (may_drop) continue;
    env_->metrics.live.streams_cut_total.add();
    to->out->close();
    return;
  }
}

void vroom_state::after_work() {
  flush();
  const auto interests = static_cast<int64_t>(room_->interested().size());
  env_->metrics.live.interests += interests - counted_interests_;
  counted_interests_ = interests;
  if (leaving_) return end();
  if (stage_ == stage::freezing) hand_over();
  if (stage_ != stage::open) return;
  const auto now = env_->time.now();
  // So many that are remembered only: let them go at once.
  const bool crowded = env_->metrics.live.actors > static_cast<int64_t>(2 * env_->config.vrooms_per_node);
  const bool over = room_->now_is() == live_room::phase::over;
  if (room_->may_leave(now) || (over && crowded)) {
    if (env_->vrooms->retire(id_, self_->id(), mails_)) end();
    return;  // or a mail is on its way
  }
  poke_at(room_->due());
}

void vroom_state::poke_at(clock::time_point due) {
  due = std::min<clock::time_point>(due, env_->time.now() + longest_sleep);
  if (poke_at_ != clock::time_point{} && poke_at_ <= due) return;  // one comes before
  poke_at_ = due;
  const auto delay = std::chrono::ceil<std::chrono::milliseconds>(due - env_->time.now());
  env_->wheel->after(std::max(delay, std::chrono::milliseconds{0}), caf::actor{self_});
}

void vroom_state::end() {
  leaving_ = true;
  self_->quit();
}

caf::behavior vroom_behavior(actor::stateful<vroom_state>* self, const environment* env, room_id id, uint64_t epoch) {
  actor::set_common_handlers(self);
  self->state.init(*env, id, epoch);
  return {
      [self](mail& what) { self->state.on_mail(what); },
      [self](actor::poke_atom) { self->state.on_poke(); },
  };
}

}  // namespace tern::group::live

// Mails in, requests to storage, output out, and the end of an idle actor.
#include "services/group/actors/room_state.hpp"

#include "libs/actor/inline_run.hpp"
#include "libs/actor/wheel.hpp"
#include "libs/log/log.hpp"
#include "services/group/directory.hpp"

namespace tern::group {
namespace {

int64_t ns_of(clock::time_point at) { return at.time_since_epoch().count(); }

}  // namespace

room_state::~room_state() {
  if (env_ == nullptr) return;
  env_->metrics.interests -= counted_interests_;
  --env_->metrics.rooms;
  if (leaving_) return;
  if (stage_ == stage::away) env_->moves->spoil(slot_of(room_));
  // An exception ended the actor. Session nodes learn from the end of their streams that their interests are gone.
  env_->directory->forget(room_, self_->id());
  for (const session_ptr& one : order_.interested()) one->out->close();
  for (const session_ptr& one : order_.awaiting()) one->out->close();
  for (const request_event& one : held_) one.who.stream->out->close();
}

void room_state::init(const environment& env, room_id room, uint64_t epoch) {
  env_ = &env;
  room_ = room;
  epoch_ = epoch;
  ++env.metrics.rooms;
}

void room_state::on_mail(mail& what) {
  ++mails_;
  if (stage_ == stage::fresh) take_up();
  for (event& one : what.events) std::visit([this](auto& that) { on(that); }, one);
  after_work();
}

void room_state::on_answer(answer& what) {
  --asked_;
  what.run(*this);
  after_work();
}

void room_state::on_poke() {
  const auto now = env_->time.now();
  const auto due = [now](clock::time_point& at) {
    if (at == clock::time_point{} || now < at) return false;
    at = {};
    return true;
  };
  if (due(retry_at_)) order_.on_timer(room_order::timer::retry);
  if (due(recheck_at_)) order_.on_timer(room_order::timer::recheck);
  after_work();
  if (!idle_ || leaving_ || now - idle_since_ < env_->config.linger) return;
  if (env_->directory->retire(room_, self_->id(), mails_)) return end();
  idle_ = false;  // a mail is on its way: wait anew
  after_work();
}

bool room_state::ours() const { return !lost_ && owns(*env_, *env_->cluster->get(), room_, epoch_); }

void room_state::on(request_event& what) {
  const command which = command_of(what.request);
  if (what.request.epoch() != epoch_ || !ours()) {
    env_->metrics.count(which, outcome::wrong_owner);
    return refuse(what.who, errc::wrong_owner);
  }
  if (stage_ != stage::open) return hold(what, which);
  take(what, which);
}

void room_state::take(request_event& what, command which) {
  if (which == command::interest) {
    env_->metrics.count(which, outcome::ok);
    return order_.interest(std::move(what.who), what.request.interest().on());
  }
  if (which == command::live) return pass_live(what.who, what.request);
  if (what.request.op_case() == v1::GroupRequest::OP_NOT_SET) return refuse(what.who, errc::bad_interface);
  const bool full = commands_ >= env_->config.room_queue_requests || bytes_ >= env_->config.room_queue_bytes;
  if (full) {
    env_->metrics.count(which, outcome::overload);
    return refuse(what.who, errc::overload);
  }
  forward(std::move(what.who), which, what.request);
}

void room_state::forward(caller who, command which, v1::GroupRequest& request) {
  asked kept{std::move(who), which, request.trace(), bytes_of_request(request)};
  storage::v1::StorageRequest to;
  to.set_trace(request.trace());
  switch (which) {
    case command::create:
      to.mutable_room_create()->Swap(request.mutable_create());
      to.mutable_room_create()->set_room(room_.value);
      break;
    case command::change:
      to.mutable_room_change()->Swap(request.mutable_change());
      to.mutable_room_change()->set_room(room_.value);
      order_.change_sent();
      break;
    case command::recall:
      to.mutable_recall()->Swap(request.mutable_recall());
      to.mutable_recall()->mutable_conversation()->set_hi(room_.value);
      to.mutable_recall()->mutable_conversation()->set_lo(0);
      break;
    default:
      to.mutable_room_append()->Swap(request.mutable_append());
      to.mutable_room_append()->set_room(room_.value);
      break;
  }
  ++commands_;
  bytes_ += kept.bytes;
  ask(std::move(to), shards::patience::deadline,
      [kept = std::move(kept)](room_state& state, shards::storage_answer& got) mutable { state.stored(kept, got); });
}

void room_state::stored(asked& request, shards::storage_answer& got) {
  --commands_;
  bytes_ -= request.bytes;
  completion done;
  done.who = std::move(request.who);
  done.change = request.what == command::change;
  errc code = got.code;
  const bool appends = request.what == command::append || request.what == command::recall;
  const bool mine = ours();
  if (appends && !mine) {
    // Whether it was stored or not: the next owner is asked again, knows a repeat by its key, and sends it out.
    code = errc::wrong_owner;
    if (!lost_) order_.doubt();
  }
  done.answer.set_code(static_cast<int32_t>(code));
  if (code == errc::ok && appends) {
    *done.answer.mutable_appended() = got.reply.appended();
    v1::RoomFrame& frame = done.frame;
    frame.set_mid(got.reply.appended().mid());
    frame.set_timestamp_ns(got.reply.appended().timestamp_ns());
    frame.set_trace(request.trace);
    if (request.what == command::append) {
      storage::v1::RoomAppend& asked_for = *got.request.mutable_room_append();
      frame.set_sender(asked_for.sender());
      frame.set_accepted_ns(asked_for.accepted_ns());
      frame.set_body(std::move(*asked_for.mutable_body()));
    } else {
      storage::v1::Recall& asked_for = *got.request.mutable_recall();
      frame.set_sender(asked_for.actor());
      frame.set_accepted_ns(asked_for.accepted_ns());
      frame.set_target(asked_for.mid());
      frame.set_body(std::move(*asked_for.mutable_body()));
    }
  } else if (got.reply.has_room_changed()) {
    *done.answer.mutable_changed() = std::move(*got.reply.mutable_room_changed());
  }
  env_->metrics.count(request.what, outcome_of(code, done.answer.appended().duplicate()));
  order_.finished(std::move(done));
}

void room_state::on(stream_gone_event& what) {
  order_.left(what.stream);
  // An interest that waits would outlive its stream.
  std::erase_if(
      held_, [&](const request_event& one) { return one.who.stream == what.stream && one.request.has_interest(); });
}

void room_state::on(range_lost_event&) {
  lost_ = true;
  leaving_ = true;  // out of the directory already
  for (request_event& one : std::exchange(held_, {})) on(one);
  order_.abandon();
}

void room_state::ask(storage::v1::StorageRequest request, shards::patience how,
                     std::function<void(room_state&, shards::storage_answer&)> then) {
  ++asked_;
  const int64_t asked_ns = ns_of(env_->time.now());
  env_->storage->ask(
      slot_of(room_), std::move(request), how,
      [env = env_, asked_ns, to = caf::actor{self_}, then = std::move(then)](shards::storage_answer& got) mutable {
        const int64_t now_ns = ns_of(env->time.now());
        env->metrics.storage_seconds.observe(static_cast<double>(now_ns - asked_ns) / 1e9);
        auto kept = std::make_shared<shards::storage_answer>(std::move(got));
        actor::post(to, answer{[kept, now_ns, then = std::move(then)](room_state& state) {
                      state.answered_ns_ = now_ns;
                      then(state, *kept);
                    }});
      });
}

void room_state::load_head() {
  storage::v1::StorageRequest request;
  request.mutable_room_get()->set_room(room_.value);
  request.mutable_room_get()->set_any_domain(true);
  ask(std::move(request), shards::patience::deadline, [](room_state& state, shards::storage_answer& got) {
    const errc code = got.code == errc::ok && !state.ours() ? errc::wrong_owner : got.code;
    state.order_.on_head(code, got.reply.room().head());
  });
}

void room_state::read(uint64_t after, bool recheck) {
  (recheck ? env_->metrics.rechecks_total : env_->metrics.gap_reads_total).add();
  storage::v1::StorageRequest request;
  storage::v1::Read& read = *request.mutable_read();
  read.mutable_conversation()->set_hi(room_.value);
  read.set_from_mid(after);
  read.set_limit(static_cast<uint32_t>(env_->config.gap_rows));
  read.set_max_bytes(static_cast<uint32_t>(env_->config.gap_bytes));
  ask(std::move(request), shards::patience::deadline, [](room_state& state, shards::storage_answer& got) {
    const errc code = got.code == errc::ok && !state.ours() ? errc::wrong_owner : got.code;
    state.order_.on_page(code, *got.reply.mutable_page());
  });
}

void room_state::later(room_order::timer which, std::chrono::milliseconds delay) {
  (which == room_order::timer::retry ? retry_at_ : recheck_at_) = env_->time.now() + delay;
  poke_in(delay);
}

void room_state::poke_in(std::chrono::milliseconds delay) { env_->wheel->after(delay, caf::actor{self_}); }

}  // namespace tern::group

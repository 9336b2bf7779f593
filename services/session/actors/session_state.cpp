// Mails in, output out, and the end of an idle actor.
#include "services/session/actors/session_state.hpp"

#include "libs/actor/inline_run.hpp"
#include "libs/crypto/identity.hpp"
#include "libs/handover/mover.hpp"
#include "libs/shards/doubt.hpp"
#include "services/session/commands/answers.hpp"
#include "services/session/directory.hpp"
#include "services/session/wheel.hpp"

namespace tern::session {

session_state::~session_state() {
  if (env_ == nullptr) return;
  if (!leaving_) died();
  leave_hub();
  for (const auto& one : terminals_) {
    if (one) --env_->metrics.terminals;
  }
  env_->metrics.unacked -= counted_unacked_;
  --(was_online_ ? env_->metrics.online : env_->metrics.lingering);
}

void session_state::died() {
  // An exception ended the actor, and mails with it. Gateways bind anew when the next actor does not know a terminal;
  // dispatchers repeat what is not done on their next stream.
  env_->directory->forget(account_, self_->id());
  if (held_ && held_->now == held_work::stage::handed) env_->moves->spoil(slot_of(account_));
  if (held_ && held_->now == held_work::stage::freezing) env_->moves->skip(held_->move, true);
  for (const delivery::entry_ref& one : delivery_.abandon()) {
    if (const auto source = std::static_pointer_cast<delivery_source>(one.source)) source->out->close();
  }
}

void session_state::init(const environment& env, account_id account) {
  env_ = &env;
  account_ = account;
  delivery_.set_limits(env.delivery);
  ++env.metrics.lingering;
  claim_state();
}

void session_state::on_mail(mail& what) {
  ++mails_;
  for (event& one : what.events) {
    if (held_ == nullptr || !holds(one)) std::visit([this](auto& that) { on(that); }, one);
    if (leaving_) break;
  }
  after_work();
}

void session_state::on_answer(answer& what) {
  --asked_;
  if (!leaving_) what.run(*this);
  after_work();
}

void session_state::on_poke() {
  const auto now = env_->time.now();
  if (held_) {
    if (held_->now == held_work::stage::verdict && now >= held_->due) claim_state();
    if (held_ && held_->now == held_work::stage::terminals && now >= held_->due) terminals_came();
    if (held_) return after_work();  // what is due is looked at again when this is over
  }
  if (later_at_ != clock::time_point{} && now >= later_at_) {
    later_at_ = {};
    delivery_.on_timer();
  }
  if (forget_at_ != clock::time_point{} && now >= forget_at_) {
    forget_at_ = {};
    delivery_.forget_restored();
  }
  run_timers(now);
  after_work();
  if (!idle_ || leaving_ || now - idle_since_ < env_->config.linger) return;
  if (env_->directory->retire(account_, self_->id(), mails_)) {
    leaving_ = true;
    self_->quit();
    return;
  }
  idle_ = false;  // a mail is on its way: wait anew
  after_work();
}

void session_state::call_later(std::chrono::milliseconds delay, std::function<void(session_state&)> then) {
  timers_.push_back({env_->time.now() + delay, std::move(then)});
  env_->wheel->after(delay, caf::actor{self_});
}

void session_state::run_timers(clock::time_point now) {
  std::vector<state_timer> due;
  for (state_timer& one : timers_) {
    if (one.at <= now) due.push_back(std::move(one));
  }
  std::erase_if(timers_, [](const state_timer& one) { return one.run == nullptr; });
  for (const state_timer& one : due) one.run(*this);
}

void session_state::after_work() {
  if (held_ && held_->now == held_work::stage::freezing && !leaving_ && quiet()) hand_over();
  flush();
  if (leaving_) return;
  count_state();
  const bool idle_now =
      held_ == nullptr && delivery_.terminals() == 0 && asked_ == 0 && timers_.empty() && delivery_.idle();
  if (idle_now && !idle_) {
    idle_since_ = env_->time.now();
    env_->wheel->after(env_->config.linger, caf::actor{self_});
  }
  idle_ = idle_now;
}

void session_state::count_state() {
  const bool online = delivery_.terminals() != 0;
  if (online != was_online_) {
    was_online_ = online;
    env_->metrics.online += online ? 1 : -1;
    env_->metrics.lingering += online ? -1 : 1;
  }
  const auto unacked = static_cast<int64_t>(delivery_.unacked());
  if (unacked != counted_unacked_) {
    env_->metrics.unacked += unacked - counted_unacked_;
    counted_unacked_ = unacked;
  }
}

terminal* session_state::find(const origin& from) {
  if (from.slot >= terminals_.size() || !terminals_[from.slot]) return nullptr;
  terminal* found = terminals_[from.slot].get();
  return found->generation == from.generation ? found : nullptr;
}

void session_state::ask(slot_type slot, storage::v1::StorageRequest request, patience how,
                        std::function<void(session_state&, storage_answer&)> then) {
  ++asked_;
  const int64_t asked_ns = env_->time.now().time_since_epoch().count();
  env_->storage->ask(slot, std::move(request), how,
                     [env = env_, asked_ns, to = caf::actor{self_}, then = std::move(then)](storage_answer& got) {
                       env->metrics.storage_seconds.observe(
                           static_cast<double>(env->time.now().time_since_epoch().count() - asked_ns) / 1e9);
                       auto kept = std::make_shared<storage_answer>(std::move(got));
                       actor::post(to, answer{[kept, then](session_state& state) { then(state, *kept); }});
                     });
}

void session_state::ask_group(group::v1::GroupRequest request,
                              std::function<void(session_state&, group_answer&)> then) {
  ++asked_;
  env_->groups->ask(std::move(request), [to = caf::actor{self_}, then = std::move(then)](group_answer& got) {
    auto kept = std::make_shared<group_answer>(std::move(got));
    actor::post(to, answer{[kept, then](session_state& state) { then(state, *kept); }});
  });
}

v1::SessionItem& session_state::out(const terminal& to) {
  for (auto& [gateway, items] : out_) {
    if (gateway == to.gateway) return items.emplace_back();
  }
  out_.emplace_back(to.gateway, std::vector<v1::SessionItem>{});
  return out_.back().second.emplace_back();
}

v1::Out& session_state::out_frame(const terminal& to, wire::frame_type type) {
  v1::Out& frame = *out(to).mutable_out();
  frame.set_conn(to.conn);
  frame.set_type(static_cast<uint32_t>(type));
  return frame;
}

void session_state::reply(const origin& from, wire::frame_type type, std::string payload) {
  if (terminal* to = find(from)) {
    v1::Out& frame = out_frame(*to, type);
    frame.set_payload(std::move(payload));
    frame.set_trace(from.trace);
    if (to->inbound.finish(from.seq)) frame.set_confirm(to->inbound.confirmed());
    pump(from.slot);
  }
}

errc shown_to_client(const origin& from, errc code) {
  if (code == errc::ok) return errc::undefined;
  // Changes of relations, rooms and passwords have no key: refused when it came again, it may have been done before.
  return to_wire(from.again && from.type == wire::frame_type::business ? shards::in_doubt(code) : code);
}

void session_state::refuse(const origin& from, errc code) { session::refuse(*this, from, code, {}); }

void session_state::finish(const origin& from) {
  if (terminal* to = find(from)) {
    if (to->inbound.finish(from.seq)) send_confirm(*to);
    pump(from.slot);
  }
}

void session_state::send_confirm(terminal& to) {
  v1::Confirm& confirm = *out(to).mutable_confirm();
  confirm.set_conn(to.conn);
  confirm.set_seq(to.inbound.confirmed());
}

void session_state::send_receipt(const origin& from, const conversation_id& conversation, uint64_t mid,
                                 std::string payload, bool duplicate) {
  terminal* sender = find(from);
  for (const auto& one : terminals_) {
    if (!one) continue;
    // A terminal bound anew since it wrote this replays the frame and gets its receipt then.
    if (one.get() != sender && (duplicate || one->connection() == from.connection)) continue;
    v1::Out& frame = out_frame(*one, wire::frame_type::message);
    frame.set_payload(payload);
    frame.set_trace(from.trace);
    v1::DeliveryRef& ref = *frame.mutable_ref();
    ref.set_kind(v1::DeliveryRef::RECEIPT);
    ref.mutable_conversation()->set_hi(conversation.hi);
    ref.mutable_conversation()->set_lo(conversation.lo);
    ref.set_mid(mid);
    if (one.get() == sender && one->inbound.finish(from.seq)) frame.set_confirm(one->inbound.confirmed());
  }
  if (sender != nullptr) pump(from.slot);
}

void session_state::flush() {
  for (auto& [gateway, items] : out_) {
    if (!gateway->up || gateway->out->send_all(items)) continue;
    // A full queue may cost what is of the moment, but no other frame: ending the stream makes the gateway bind anew
    // and say what it has.
    const size_t dropped = std::erase_if(items, [](const v1::SessionItem& one) { return one.out().live(); });
    if (dropped != 0) env_->metrics.live.count(live_drop::gateway, dropped);
    if (!items.empty() && !gateway->out->send_all(items)) gateway->out->close();
  }
  out_.clear();
  for (auto& [source, reply] : replies_) {
    if (!source->out->send(std::move(reply))) source->out->close();  // all unconfirmed entries come again
  }
  replies_.clear();
  if (!peer_out_.empty()) flush_peers();
}

std::string session_state::frame_key(const origin& from) {
  const terminal* sender = find(from);
  if (sender == nullptr) return {};
  std::string key = "c";
  const auto append = [&key](uint64_t value, unsigned bytes) {
    for (unsigned i = bytes; i-- > 0;) key.push_back(static_cast<char>(value >> (8 * i)));
  };
  append(sender->gateway->incarnation, 8);
  append(sender->conn, 8);
  append(from.seq, 7);
  return key;
}

conversation_id session_state::conversation_with(account_id other) {
  if (last_conversation_.first != other) {
    last_conversation_ = {other, crypto::pair_conversation(env_->config.identity_key, account_, other)};
  }
  return last_conversation_.second;
}

const std::string& session_state::own_node() {
  if (own_node_.empty()) own_node_ = to_node(account_);
  return own_node_;
}

const placement::range* owned_range(const environment& env, const placement::snapshot& map, slot_type slot) {
  const placement::range* range = map.sessions.find(slot);
  if (range == nullptr || range->owner != env.node || !env.lease_valid()) return nullptr;
  return env.moves != nullptr && env.moves->away(slot) ? nullptr : range;
}

uint64_t session_state::epoch() const {
  const auto map = env_->cluster->get();
  const placement::range* range = map->sessions.find(slot_of(account_));
  return range == nullptr ? 0 : range->epoch;
}

}  // namespace tern::session

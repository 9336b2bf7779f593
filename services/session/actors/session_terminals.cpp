// Terminals: binds, the device limit, frames in order, links that go.
#include <algorithm>

#include "libs/delivery/device_limit.hpp"
#include "services/session/actors/session_state.hpp"
#include "services/session/commands/answers.hpp"
#include "services/session/commands/commands.hpp"
#include "services/session/relay/relay_message.hpp"
#include "services/session/rooms/hub.hpp"
#include "services/session/wheel.hpp"

namespace tern::session {
namespace {

constexpr std::chrono::seconds restored_for{30};

conversation_id conversation_of(const v1::DeliveryRef& ref) {
  return {ref.conversation().hi(), ref.conversation().lo()};
}

delivery::restored restored_of(const v1::Bind& bind) {
  delivery::restored out;
  for (const v1::DeliveryRef& ref : bind.unacked()) {
    if (ref.kind() == v1::DeliveryRef::MESSAGE) out.messages.push_back({conversation_of(ref), ref.mid()});
    if (ref.kind() == v1::DeliveryRef::BATCH) out.batches.push_back({conversation_of(ref), ref.mid()});
    if (ref.kind() == v1::DeliveryRef::NOTICE) out.notices.push_back(ref.mid());
  }
  for (const v1::DeliveryRef& ref : bind.written()) {
    // A receipt may overtake older messages of the other side, so it says nothing about them.
    if (ref.kind() == v1::DeliveryRef::RECEIPT || ref.kind() == v1::DeliveryRef::NOTICE ||
        ref.kind() == v1::DeliveryRef::ROOM)
      continue;
    out.written.push_back({conversation_of(ref), ref.mid()});
  }
  return out;
}

}  // namespace

std::optional<delivery::terminal_slot> session_state::slot_of_conn(const gateway_stream& from, uint64_t conn) const {
  for (size_t i = 0; i < terminals_.size(); ++i) {
    if (!terminals_[i] || terminals_[i]->conn != conn) continue;
    const gateway_stream& mine = *terminals_[i]->gateway;
    if (mine.incarnation == from.incarnation && mine.node == from.node)
      return static_cast<delivery::terminal_slot>(i);
  }
  return std::nullopt;
}

void session_state::on(bind_event& what) {
  // A login that storage answered late. Its gateway may be gone and that told already: nobody would end such a
  // terminal. A gateway that lives binds anew on its next stream.
  if (!what.from->up) return;
  if (what.bind.fresh()) {
    bind_fresh(what);
  } else {
    rebind(what);
  }
}

void session_state::bind_fresh(bind_event& what) {
  const v1::Bind& bind = what.bind;
  v1::LoginResult result;
  result.set_conn(bind.conn());
  result.set_account(account_.value);
  result.set_domain(bind.domain());
  result.set_login_ns(bind.login_ns());
  result.set_epoch(epoch());
  const auto before = slot_of_conn(*what.from, bind.conn());
  const bool again = before.has_value();
  const gateway_ptr old = again ? terminals_[*before]->gateway : nullptr;
  if (!again && !make_room(bind.termtyp())) {
    result.set_code(static_cast<int32_t>(errc::over_entry));
    what.from->out->send([&] {
      v1::SessionItem item;
      *item.mutable_login_result() = std::move(result);
      return item;
    }());
    return;
  }
  domain_ = bind.domain();
  const auto slot = place(what);
  if (!slot) return;
  *out(*terminals_[*slot]).mutable_login_result() = std::move(result);
  if (!again) {
    delivery_.attach(*slot);
  } else if (old != what.from) {
    // Logged on before, over a stream that is gone: the gateway has had neither the result nor what followed it.
    delivery_.reattach(*slot, restored_of(bind));
  }
  if (old != what.from) enter_rooms(*slot, bind, old);
}

void session_state::rebind(bind_event& what) {
  const v1::Bind& bind = what.bind;
  const auto before = slot_of_conn(*what.from, bind.conn());
  const gateway_ptr old = before ? terminals_[*before]->gateway : nullptr;
  if (!before) {
    // It was let in by a former owner; here it counts again, without the age rule.
    while (delivery_.terminals() != 0 &&
           static_cast<uint64_t>(std::popcount(delivery_.terminals())) >= env_->config.device_limit) {
      size_t oldest = terminals_.size();
      for (size_t i = 0; i < terminals_.size(); ++i) {
        if (!terminals_[i]) continue;
        if (oldest == terminals_.size() || terminals_[i]->login_ns < terminals_[oldest]->login_ns) oldest = i;
      }
      log_out(static_cast<delivery::terminal_slot>(oldest), errc::over_entry);
    }
  }
  domain_ = bind.domain();
  const auto slot = place(what);
  if (!slot) return;
  v1::BindResult& result = *out(*terminals_[*slot]).mutable_bind_result();
  result.set_conn(bind.conn());
  // The gateway's own: of two Binds under way only the newer one's answer counts.
  result.set_epoch(bind.epoch() != 0 ? bind.epoch() : epoch());
  result.set_number(bind.number());
  delivery_.reattach(*slot, restored_of(bind));
  enter_rooms(*slot, bind, old);
  terminal_came(bind.conn());
  forget_at_ = env_->time.now() + restored_for;
  env_->wheel->after(restored_for, caf::actor{self_});
}

bool session_state::make_room(int32_t termtyp) {
  std::vector<delivery::device> present;
  std::vector<delivery::terminal_slot> slots;
  for (size_t i = 0; i < terminals_.size(); ++i) {
    if (!terminals_[i]) continue;
    present.push_back({terminals_[i]->termtyp, terminals_[i]->login_ns, !terminals_[i]->gateway->up});
    slots.push_back(static_cast<delivery::terminal_slot>(i));
  }
  const auto min_interval = std::chrono::nanoseconds(env_->config.auth_min_interval).count();
  const auto verdict = delivery::admit(present, termtyp, env_->time.wall_ns(),
                                       {env_->config.device_limit, env_->config.devicetype_limit, min_interval});
  if (!verdict.admitted) return false;
  if (verdict.replaced) log_out(slots[*verdict.replaced], errc::over_entry);
  return true;
}

std::optional<delivery::terminal_slot> session_state::place(const bind_event& what) {
  const v1::Bind& bind = what.bind;
  auto slot = slot_of_conn(*what.from, bind.conn());
  if (!slot) {
    size_t free = 0;
    while (free < terminals_.size() && terminals_[free]) ++free;
    if (free >= delivery::max_terminals) return std::nullopt;
    if (free == terminals_.size()) terminals_.emplace_back();
    terminals_[free] = std::make_unique<terminal>();
    ++env_->metrics.terminals;
    slot = static_cast<delivery::terminal_slot>(free);
  }
  terminal& made = *terminals_[*slot];
  made.gateway = what.from;
  made.conn = bind.conn();
  made.generation = ++generations_;
  made.termtyp = bind.termtyp();
  made.login_ns = bind.login_ns();
  made.resource = bind.resource();
  // What the gateway has unconfirmed comes again, whether we have seen it or not: appends have their key.
  made.inbound = delivery::inbound<terminal::command>(bind.next_seq());
  return slot;
}

size_t session_state::log_out_others(const origin& from, errc reason) {
  size_t ended = 0;
  for (size_t i = 0; i < terminals_.size(); ++i) {
    if (!terminals_[i] || (i == from.slot && terminals_[i]->connection() == from.connection)) continue;
    log_out(static_cast<delivery::terminal_slot>(i), reason);
    ++ended;
  }
  return ended;
}

void session_state::log_out(delivery::terminal_slot slot, errc reason) {
  v1::CloseTerminal& order = *out(*terminals_[slot]).mutable_close();
  order.set_conn(terminals_[slot]->conn);
  order.set_code(static_cast<int32_t>(reason));
  order.set_logout(true);
  if (reason == errc::over_entry) env_->metrics.replaced_total.add();
  remove(slot);
}

void session_state::remove(delivery::terminal_slot slot) {
  const std::unique_ptr<terminal> gone = std::move(terminals_[slot]);
  --env_->metrics.terminals;
  delivery_.detach(slot);
  leave_rooms(*gone);
  terminal_gone(*gone);
}

void session_state::on(frame_event& what) {
  v1::Frame& frame = what.frame;
  const auto slot = slot_of_conn(*what.from, frame.conn());
  using inbound = delivery::inbound<terminal::command>;
  auto verdict = inbound::verdict::gap;
  if (slot && terminals_[*slot]->gateway == what.from) {
    const command_row* row = find_command(frame.type());
    verdict = terminals_[*slot]->inbound.accept(
        frame.seq(), row == nullptr || row->barrier,
        {frame.type(), std::move(*frame.mutable_payload()), frame.trace(), frame.received_ns(), frame.again()});
  }
  if (verdict == inbound::verdict::taken) {
    if (!rate_.take(env_->time.now(), env_->config.account_rate_per_second)) return cut_off(*slot, frame);
    pump(*slot);
  } else if (verdict == inbound::verdict::replay) {
    send_confirm(*terminals_[*slot]);
  } else {
    // We do not know the terminal, or frames are missing: the gateway is to bind it (again) and say what it has.
    terminal unknown;
    unknown.gateway = what.from;
    v1::BindResult& result = *out(unknown).mutable_bind_result();
    result.set_conn(frame.conn());
    result.set_code(static_cast<int32_t>(errc::wrong_owner));
    result.set_epoch(epoch());
  }
}

void session_state::cut_off(delivery::terminal_slot slot, const v1::Frame& frame) {
  terminal& from = *terminals_[slot];
  env_->metrics.count(refusal::rate);
  v1::Out& told = out_frame(from, wire::frame_type::ack);
  told.set_payload(refusal_of(static_cast<wire::frame_type>(frame.type()), errc::rate_limited));
  told.set_trace(frame.trace());
  v1::CloseTerminal& order = *out(from).mutable_close();
  order.set_conn(from.conn);
  order.set_code(static_cast<int32_t>(errc::rate_limited));
  remove(slot);
}

void session_state::pump(delivery::terminal_slot slot) {
  if (pumping_) return;  // the loop below sees what has become possible
  pumping_ = true;
  delivery::inbound<terminal::command>::runnable next;
  while (slot < terminals_.size() && terminals_[slot] && terminals_[slot]->inbound.next(next)) {
    run(slot, next.seq, std::move(next.item));
  }
  pumping_ = false;
}

void session_state::measure_route(origin& from) const {
  if (from.type != wire::frame_type::message || from.received_ns == 0 || from.again) return;
  if (!metrics::stage_sampled<metrics::stage::route>()) return;
  from.taken_ns = env_->time.wall_ns();
  const int64_t took = std::max<int64_t>(from.taken_ns - from.received_ns, 0);  // another machine's clock
  env_->metrics.route_seconds.observe(static_cast<double>(took) / 1e9);
}

void session_state::run(delivery::terminal_slot slot, uint64_t seq, terminal::command what) {
  origin from{slot,
              terminals_[slot]->generation,
              static_cast<wire::frame_type>(what.type),
              seq,
              what.trace,
              what.received_ns,
              terminals_[slot]->connection(),
              what.again};
  measure_route(from);
  const command_row* row = find_command(what.type);
  if (row == nullptr || (env_->relay != nullptr && !relayed(row->type))) return refuse(from, errc::bad_interface);
  log::trace(what.trace, "session", "accept",
             {{"command", wire::find_command(static_cast<uint8_t>(what.type))->name}});
  row->run(*this, from, std::move(what.payload));
}

void session_state::on(acked_event& what) {
  const auto slot = slot_of_conn(*what.from, what.acked.conn());
  if (!slot || terminals_[*slot]->gateway != what.from) return;
  for (const v1::DeliveryRef& ref : what.acked.refs()) {
    switch (ref.kind()) {
      case v1::DeliveryRef::MESSAGE: delivery_.on_message_ack(*slot, {conversation_of(ref), ref.mid()}); break;
      case v1::DeliveryRef::BATCH:
        if (ref.conversation().lo() == 0)
          env_->hub->listed(room_id{ref.conversation().hi()}, account_, *what.from, what.acked.conn(), ref.mid());
        delivery_.on_batch_ack(*slot, {conversation_of(ref), ref.mid()});
        break;
      case v1::DeliveryRef::NOTICE: delivery_.on_notice_ack(*slot, ref.mid()); break;
      default: break;  // receipts are not delivered again
    }
  }
}

void session_state::on(closed_event& what) {
  const auto slot = slot_of_conn(*what.from, what.conn);
  if (slot) remove(*slot);
}

void session_state::on(gateway_gone_event& what) {
  for (size_t i = 0; i < terminals_.size(); ++i) {
    if (terminals_[i] && terminals_[i]->gateway == what.gone) remove(static_cast<delivery::terminal_slot>(i));
  }
}

void session_state::on(range_lost_event&) {
  leave_hub();
  for (const auto& one : terminals_) {
    if (!one) continue;
    v1::BindResult& result = *out(*one).mutable_bind_result();
    result.set_conn(one->conn);
    result.set_code(static_cast<int32_t>(errc::wrong_owner));
    result.set_epoch(epoch());
  }
  for (const delivery::entry_ref& one : delivery_.abandon()) {
    const auto source = std::static_pointer_cast<delivery_source>(one.source);
    if (!source) continue;
    v1::DeliveryReply reply;
    reply.set_shard(source->shard);
    reply.set_epoch(source->epoch);
    reply.add_wrong_owner(one.entry);
    replies_.emplace_back(source, std::move(reply));
  }
  if (held_) refuse_held();
  flush();
  leaving_ = true;
  self_->quit();
}

}  // namespace tern::session

// What a session owner sends to a terminal, and the acknowledgements back.
#include <algorithm>
#include <utility>

#include "libs/log/log.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/payload.hpp"

namespace tern::gateway {

namespace {

delivery_kind kind_of(const outbound_frame& frame) {
  if (!frame.wants_ack) return delivery_kind::moment;
  switch (frame.ref.kind) {
    case ref_kind::notice: return delivery_kind::notice;
    case ref_kind::batch: return delivery_kind::batch;
    default: return delivery_kind::message;
  }
}

}  // namespace

// ---- frames of the session owner ----------------------------------------------------------------------------------

void client::on_out(session::v1::Out& out) {
  if (!is_bound()) return;
  if (phase_ == phase::rebinding) {
    // Sent before the owner saw our Bind, which does not know of it: a delivery comes again behind the BindResult,
    // and what was answered is asked again.
    shared().metrics.rejected_epoch.add();
    return;
  }
  if (out.confirm() != 0) on_confirm(out.confirm());
  if (out.live()) return write_live(out);
  outbound_frame frame;
  frame.type = static_cast<uint8_t>(out.type());
  frame.wants_ack = out.has_ref();
  frame.trace = out.trace();
  frame.accepted_ns = out.accepted_ns();
  if (frame.accepted_ns != 0 && metrics::stage_sampled<metrics::stage::write>())
    frame.taken_ns = shared().time.wall_ns();
  if (out.has_ref()) {
    frame.ref = {static_cast<ref_kind>(out.ref().kind()),
                 {out.ref().conversation().hi(), out.ref().conversation().lo()},
                 out.ref().mid()};
  }
  if (enc_ == wire::encoding::thrift) {
    frame.payload = std::move(*out.mutable_payload());
  } else if (write_payload(static_cast<wire::frame_type>(frame.type), out.payload(), enc_, frame.payload) !=
             errc::ok) {
    shared().log.error("frame of a session node cannot be read", {{"type", frame.type}, {"conn", id_}});
    if (frame.wants_ack) ack_delivery(frame.ref);  // it would come again and again
    return;
  }
  const bool taken = terminal_.offer(std::move(frame), shared().milliseconds(), shared().limits, *this);
  if (!taken) {
    close(close_policy, "too many deliveries wait", websocket::close_reason::slow_consumer);
  } else {
    cut_if_slow();
    schedule();
  }
}

bool client::on_room(room_frame& frame) {
  if (phase_ != phase::bound) {  // as in on_out
    shared().metrics.rejected_epoch.add();
    return false;
  }
  if (!frame.usable(enc_)) {
    shared().log.error("room message of a session node cannot be read", {{"conn", id_}});
    return false;
  }
  if (frame.live()) {
    live().offer(frame.live_message(enc_), frame.now_ms());
    return true;
  }
  const bool idle = terminal_.unacked() == 0;
  switch (terminal_.admit(frame.ref(), frame.payload_bytes(enc_), shared().limits)) {
    case terminal::verdict::write: {
      const int32_t sync_id = terminal_.take_place(frame.ref(), frame.trace(), frame.now_ms());
      connection_->send_made(frame.message(enc_, sync_id), frame.at_once());
      cut_if_slow();
      if (idle) await_ack();
      return true;
    }
    case terminal::verdict::wait: terminal_.wait(frame.waiting(enc_)); return true;
    case terminal::verdict::repeated: return false;
    case terminal::verdict::too_slow: break;
  }
  close(close_policy, "too many deliveries wait", websocket::close_reason::slow_consumer);
  return false;
}

void client::write(const outbound_frame& frame, int32_t sync_id) {
  if (is_closing()) return;
  const auto type = static_cast<wire::frame_type>(frame.type);
  const wire::frame_head head = sync_id == 0 ? wire::make_head(type) : wire::make_head(type, sync_id);
  connection_->send(head.view(), frame.bytes());
  if (frame.trace != 0) log::trace(frame.trace, "gateway", "write");
  if (frame.accepted_ns != 0) {
    const int64_t now = shared().time.wall_ns();
    const int64_t took = now - frame.accepted_ns;
    if (frame.taken_ns != 0) shared().metrics.write_seconds.observe(static_cast<double>(now - frame.taken_ns) * 1e-9);
    shared().metrics.delivered(kind_of(frame), static_cast<double>(std::max<int64_t>(took, 0)) * 1e-9);
  }
}

void client::cut_if_slow() {
  // The rest of a live frame is not held against the client: a big one may be larger than the bound.
  const size_t live = live_ ? live_->socket_bytes() : 0;
  if (is_closing() || connection_->queued_bytes() <= shared().config.max_queue_bytes + live) return;
  unplace();
  phase_ = phase::closing;
  connection_->abort(websocket::close_reason::slow_consumer);
}

void client::on_confirm(uint64_t seq) {
  if (phase_ == phase::rebinding) return shared().metrics.rejected_epoch.add();  // the Bind says it is not confirmed
  const size_t before = terminal_.unconfirmed();
  if (!terminal_.confirm(seq)) return;
  lane_.load().done(before - terminal_.unconfirmed());
  if (big_data_) note_big_data();
  resume_if_room();
}

void client::resume_if_room() {
  if (!paused_ || terminal_.unconfirmed() > shared().limits.unconfirmed / 2 || big_data_waits() || is_closing())
    return;
  paused_ = false;
  read_again();
}

void client::on_close_terminal(const session::v1::CloseTerminal& order) {
  if (is_closing()) return;
  const errc code = to_wire(static_cast<errc>(order.code()));
  if (order.logout()) {
    wire::tim_ack ack;
    ack.tim_type = static_cast<int8_t>(wire::frame_type::logout);
    ack.ok = code == errc::ok;
    if (!ack.ok) ack.error = wire::tim_error{static_cast<int32_t>(code), wire_text(code)};
    std::string& out = lane_.buffer();
    wire::encode(enc_, ack, out);
    send(wire::frame_type::logout, out);
  }
  close(order.logout() ? close_normal : close_policy, order.logout() ? "logged out" : "closed by the session",
        websocket::close_reason::auth);
}

bool client::is_at_rest(bool acknowledged) const noexcept {
  if (phase_ == phase::connecting) return true;
  if (!is_bound() || terminal_.unconfirmed() != 0 || connection_->queued_bytes() != 0) return false;
  return !acknowledged || (terminal_.unacked() == 0 && terminal_.waiting() == 0 && !(big_data_ && big_data_->frame));
}

void client::leave_soon(bool on) {
  leaving_ = on;
  if (on || !std::exchange(deaf_, false)) return;
  read_again();
}

void client::stop_listening() {
  if (std::exchange(deaf_, true) || is_closing()) return;
  connection_->pause_reading(true);
}

void client::close_for_drain() { close(close_going_away, "going away", websocket::close_reason::drain); }

// ---- acknowledgements ---------------------------------------------------------------------------------------------

void client::acknowledge(int32_t sync_id) {
  const auto done = terminal_.acknowledge(sync_id, shared().milliseconds(), shared().limits, *this);
  if (!done) {
    bogus_ack();
    return;
  }
  if (done->trace != 0) log::trace(done->trace, "gateway", "ack");
  shared().metrics.client_ack_seconds.observe((shared().milliseconds() - done->written_ms) * 0.001);
  if (done->ref.kind != ref_kind::receipt) ack_delivery(done->ref);  // nobody waits for a receipt's
  cut_if_slow();
}

void client::tell_room_acks() {
  for (const terminal::room_ack& each : terminal_.take_room_acks()) lane_.tell_room_ack(stream_, account_, each);
}

void client::ack_delivery(const delivery_ref& ref) {
  const bool of_room = ref.kind == ref_kind::room || (ref.kind == ref_kind::batch && ref.conversation.lo == 0);
  if (of_room && terminal_.note_room_ack(ref)) lane_.note_room_ack(ref.conversation.hi, *this);
  if (ref.kind == ref_kind::room) return;
  if (phase_ == phase::rebinding) return terminal_.hold(ref);  // told behind the Bind, when that is answered
  gateway_item* item = lane_.newest(stream_);
  // Acknowledgements of one batch travel together.
  if (item == nullptr || !item->has_acked() || item->acked().conn() != id_) item = lane_.add(stream_);
  if (item == nullptr) {
    terminal_.hold(ref);
    return;
  }
  session::v1::Acked& acked = *item->mutable_acked();
  acked.set_conn(id_);
  acked.set_account(account_.value);
  session::v1::DeliveryRef& out = *acked.add_refs();
  out.set_kind(static_cast<session::v1::DeliveryRef::Kind>(ref.kind));
  out.mutable_conversation()->set_hi(ref.conversation.hi);
  out.mutable_conversation()->set_lo(ref.conversation.lo);
  out.set_mid(ref.mid);
}

void client::bogus_ack() {
  shared().metrics.bogus_acks.add();
  if (++bogus_acks_ >= shared().config.max_bogus_acks) {
    close(close_policy, "acknowledgements of nothing", websocket::close_reason::protocol);
  }
}

}  // namespace tern::gateway

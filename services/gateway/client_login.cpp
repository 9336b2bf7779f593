// Logins, and where a terminal is bound: placement, Bind, replay.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "services/gateway/client.hpp"

namespace tern::gateway {

// ---- login --------------------------------------------------------------------------------------------------------

void client::start_login(session::v1::Login login, wire::encoding enc) {
  enc_ = enc;
  phase_ = phase::authenticating;
  termtyp_ = static_cast<int8_t>(login.termtyp());
  resource_ = login.resource();
  login_ = std::make_unique<login_attempt>();
  login_->request = std::move(login);
  login_->request.set_conn(id_);
  login_->deadline = lane_.tick() + core::ticks(shared().config.owner_timeout);
  place();
  schedule();
}

void client::on_login_result(session::v1::LoginResult& result) {
  if (phase_ != phase::authenticating || !login_) return;
  const auto code = static_cast<errc>(result.code());
  if (code == errc::wrong_owner) {
    try_again();
  } else if (code != errc::ok) {
    login_failed(code);
  } else if (result.redirect()) {
    account_ = account_id{result.account()};
    domain_ = result.domain();
    login_->redirected = true;
    login_->login_ns = result.login_ns();
    move_to({});
    place();
  } else {
    logged_in(result);
  }
}

void client::logged_in(const session::v1::LoginResult& result) {
  const auto& config = shared().config;
  account_ = account_id{result.account()};
  if (!result.domain().empty()) domain_ = result.domain();
  login_ns_ = result.login_ns() != 0 ? result.login_ns() : login_->login_ns;
  epoch_ = std::max(epoch_, result.epoch());
  login_.reset();
  phase_ = phase::bound;
  ticket_ = 0;
  attempts_ = 0;
  lane_.watch_owner(*this);
  connection_->set_max_message_bytes(config.max_frame_bytes);
  connection_->set_large_messages(big_message_bytes(), is_big_data);
  rate_.reset(lane_.tick(), config.request_burst);
  shared().metrics.auth_ok.add();
  shared().metrics.handshake_seconds.observe((shared().milliseconds() - opened_ms_) * 0.001);
  for (int answers = 1 + std::exchange(more_auths_, uint8_t{0}); answers > 0; --answers) send_login_ack();
  schedule();
  // The account may have moved on while the answer was on its way.
  if (const uint64_t epoch = lane_.epoch_of(slot_of(account_)); epoch != 0) on_owner_changed(epoch);
}

void client::login_failed(errc code) {
  if (code == errc::no_pass) code = errc::permission_denied;  // AUTH says 4105 where TOKEN says 4102
  shared().metrics.auth_refused.add();
  phase_ = phase::connecting;
  login_.reset();
  account_ = {};
  ticket_ = 0;
  attempts_ = 0;
  move_to({});
  for (int answers = 1 + std::exchange(more_auths_, uint8_t{0}); answers > 0; --answers) {
    refuse(static_cast<uint8_t>(wire::frame_type::auth), code,
           to_wire(code) == errc::overload ? refusal::overload : refusal::login);
  }
  if (frames_ >= shared().config.prelogin_frames || to_wire(code) == errc::overload) {
    close(close_policy, "login refused", websocket::close_reason::auth);
  }
  schedule();
}

void client::send_login_ack() {
  const std::string node = to_node(account_);
  char connection[17];
  std::snprintf(connection, sizeof connection, "%016llx", static_cast<unsigned long long>(id_));
  wire::tim_ack ack;
  ack.ok = true;
  ack.tim_type = static_cast<int8_t>(wire::frame_type::auth);
  ack.n = node;
  // Which server run this is; JavaScript reads numbers as doubles, so it stays below 2^53.
  ack.t = static_cast<int64_t>(shared().incarnation & ((uint64_t{1} << 53U) - 1));
  ack.n2 = connection;
  std::string& out = lane_.buffer();
  wire::encode(enc_, ack, out);
  send(wire::frame_type::ack, out);
}

// ---- placement ----------------------------------------------------------------------------------------------------

void client::move_to(link_handle stream) {
  if (std::exchange(binding_, false)) lane_.places().ended(stream_);
  stream_ = stream;
}

void client::wait() {
  move_to({});
  lane_.places().wait(*this);
}

/// Who should be the owner does not know it (any more): it, or we, will have a newer map soon.
void client::try_again() {
  lane_.places().again(*this, attempts_);
  if (attempts_ < 8) ++attempts_;
}

void client::on_turn(uint32_t ticket) {
  if (ticket != ticket_) return;
  ticket_ = 0;
  if (phase_ == phase::authenticating || phase_ == phase::rebinding) place();
}

void client::place() {
  if (login_ && !login_->redirected) {
    place_login();
  } else {
    place_bind();
  }
}

void client::place_login() {
  const auto to = lane_.owner_of(slot_of(login_->request.slot_key()));
  gateway_item* item = to ? lane_.add(to->stream) : nullptr;
  if (item == nullptr) {
    wait();
    return;
  }
  move_to(to->stream);
  epoch_ = to->epoch;
  *item->mutable_login() = login_->request;
}

void client::place_bind() {
  const auto to = lane_.owner_of(slot_of(account_));
  if (!to || !lane_.is_up(to->stream)) {
    wait();
    return;
  }
  move_to({});
  const bool fresh = login_ != nullptr;
  if (!fresh && !lane_.places().begin(to->stream, *this)) return;
  stream_ = to->stream;
  binding_ = !fresh;
  epoch_ = to->epoch;
  bind_tick_ = lane_.tick();
  if (!fresh) {
    shared().metrics.rebinds.add();
    terminal_.note_rebound();
  }
  send_bind(*to, fresh);
  schedule();
}

void client::send_bind(const owner& to, bool fresh) {
  session::v1::Bind& bind = *lane_.add(to.stream)->mutable_bind();
  const auto put = [](session::v1::DeliveryRef& out, const delivery_ref& ref) {
    out.set_kind(static_cast<session::v1::DeliveryRef::Kind>(ref.kind));
    out.mutable_conversation()->set_hi(ref.conversation.hi);
    out.mutable_conversation()->set_lo(ref.conversation.lo);
    out.set_mid(ref.mid);
  };
  const terminal::bind_state state = terminal_.state();
  bind.set_conn(id_);
  bind.set_account(account_.value);
  bind.set_domain(domain_);
  bind.set_resource(resource_);
  bind.set_termtyp(termtyp_);
  bind.set_json(enc_ == wire::encoding::json);
  bind.set_login_ns(login_ ? login_->login_ns : login_ns_);
  for (const auto& ref : state.unacked) put(*bind.add_unacked(), ref);
  for (const auto& ref : state.written) put(*bind.add_written(), ref);
  bind.set_next_seq(state.next_seq);
  bind.set_fresh(fresh);
  bind.set_epoch(to.epoch);
  if (++binds_ == 0) binds_ = 1;
  bind.set_number(binds_);
}

void client::on_bind_result(const session::v1::BindResult& result) {
  if (!is_bound()) return;
  const auto code = static_cast<errc>(result.code());
  if (code == errc::wrong_owner || code == errc::stale_epoch) {
    if (phase_ == phase::bound) {
      leave_owner();
    } else if (!binding_) {
      return;  // one of several that say the same
    }
    // It speaks of a map we do not have yet, which will bring us there.
    if (result.epoch() > epoch_) attempts_ = std::max<uint8_t>(attempts_, 4);
    // The stream stays: if that was no answer to the Bind, the answer still counts.
    if (std::exchange(binding_, false)) lane_.places().ended(stream_);
    try_again();
  } else if (code != errc::ok) {
    close(close_policy, "the session ended", websocket::close_reason::error);
  } else if (phase_ == phase::rebinding) {
    // Behind the answer to an earlier Bind comes what the newest one does not know of, and so comes again behind its.
    const bool earlier = result.number() != 0 && result.number() != binds_;
    if (earlier || (result.epoch() != 0 && result.epoch() < epoch_)) return shared().metrics.rejected_epoch.add();
    if (std::exchange(binding_, false)) lane_.places().ended(stream_);
    epoch_ = std::max(epoch_, result.epoch());
    phase_ = phase::bound;
    ticket_ = 0;
    attempts_ = 0;
    for (const delivery_ref& ref : terminal_.take_held()) ack_delivery(ref);
    replay();
    schedule();
  }
}

void client::replay() {
  for (const inbound_frame& kept : terminal_.kept()) {
    gateway_item* item = lane_.add(stream_);
    if (item == nullptr) return;
    fill_frame(*item->mutable_frame(), kept);
    item->mutable_frame()->set_again(true);
    shared().metrics.replayed.add();
  }
}

void client::fill_frame(session::v1::Frame& out, const inbound_frame& frame) const {
  out.set_conn(id_);
  out.set_account(account_.value);
  out.set_seq(frame.seq);
  out.set_type(frame.type);
  out.set_payload(frame.payload);
  out.set_trace(frame.trace);
  out.set_received_ns(frame.received_ns);
}

/// Nothing of the owner it has is taken from here on.
void client::leave_owner() {
  if (phase_ == phase::bound) tell_room_acks();  // a new one is told by the Bind
  phase_ = phase::rebinding;
  if (std::exchange(binding_, false)) lane_.places().ended(stream_);
}

void client::on_owner_changed(uint64_t epoch) {
  if (!is_bound() || (epoch != 0 && epoch <= epoch_)) return;
  leave_owner();
  stream_ = {};
  attempts_ = 0;
  if (epoch == 0) {
    wait();
  } else {
    lane_.places().soon(*this);
  }
}

void client::on_stream_down(link_handle stream) {
  if (stream_ != stream || is_closing()) return;
  move_to({});
  if (phase_ == phase::bound) phase_ = phase::rebinding;
  if (phase_ != phase::connecting) lane_.places().soon(*this);
}

void client::unplace() {
  if (phase_ != phase::closing && phase_ != phase::connecting) {
    lane_.load().forgotten(terminal_.unconfirmed());
    tell_room_acks();
    if (gateway_item* item = lane_.add(stream_)) {
      item->mutable_closed()->set_conn(id_);
      item->mutable_closed()->set_account(account_.value);
    }
  }
  move_to({});
  leave_slot();
  ticket_ = 0;
  login_.reset();
  if (live_) live_->leave();
}

}  // namespace tern::gateway

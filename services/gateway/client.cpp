#include "services/gateway/client.hpp"

#include <algorithm>
#include <utility>

#include "libs/log/log.hpp"
#include "services/gateway/commands/commands.hpp"
#include "services/gateway/payload.hpp"

namespace tern::gateway {

namespace {

// Close codes: RFC 6455 section 7.4.1.
constexpr uint16_t close_normal = 1000;
constexpr uint16_t close_going_away = 1001;
constexpr uint16_t close_unsupported = 1003;
constexpr uint16_t close_policy = 1008;

bool reached(uint32_t tick, uint32_t due) noexcept { return static_cast<int32_t>(tick - due) >= 0; }

uint8_t type_byte(std::string_view bytes) noexcept {
  return bytes.empty() ? 0 : static_cast<uint8_t>(static_cast<uint8_t>(bytes.front()) & 0x7FU);
}

/// A message of somebody else, which the session keeps until it is acknowledged.
bool delivers(const session::v1::Out& out) {
  return out.has_ref() &&
         (out.ref().kind() == session::v1::DeliveryRef::MESSAGE || out.ref().kind() == session::v1::DeliveryRef::BATCH);
}

wire::encoding encoding_bit(std::string_view bytes) noexcept {
  const bool json = !bytes.empty() && (static_cast<uint8_t>(bytes.front()) & 0x80U) != 0;
  return json ? wire::encoding::json : wire::encoding::thrift;
}

}  // namespace

// ---- websocket ----------------------------------------------------------------------------------------------------

void client::on_open(websocket::connection& self) {
  connection_ = &self;
  id_ = self.id();
  opened_tick_ = heard_tick_ = lane_.tick();
  opened_ms_ = shared().milliseconds();
  self.set_max_message_bytes(shared().config.prelogin_frame_bytes);
  shared().metrics.opened.add();
  schedule();
}

void client::on_message(websocket::connection&, std::string_view bytes, bool binary) {
  if (is_closing() || !admit(bytes, binary)) return;
  const auto frame = wire::parse_frame(bytes);
  if (frame) {
    if (is_bound() || admit_before_login(*frame)) handle(*frame);
    return;
  }
  const bool known = !bytes.empty() && wire::find_command(type_byte(bytes)) != nullptr;
  if (!is_bound()) {
    close(close_policy, "log in first", websocket::close_reason::protocol);
  } else {
    bad_frame(type_byte(bytes), encoding_bit(bytes),
              bytes.empty() || known ? errc::bad_format : errc::bad_interface);
  }
}

bool client::admit(std::string_view bytes, bool binary) {
  heard_tick_ = lane_.tick();
  if (!binary) {
    close(close_unsupported, "binary messages only", websocket::close_reason::protocol);
    return false;
  }
  if (skip_ != 0) {  // the rest of a big-data frame that was refused
    if (bytes.size() > skip_) refuse(0, errc::big_data);
    skip_ -= static_cast<uint32_t>(std::min<size_t>(skip_, bytes.size()));
    return false;
  }
  if (!is_bound()) return true;
  const auto& config = shared().config;
  // Acknowledgements answer what we sent, as fast as we sent it: they do not count.
  if (type_byte(bytes) == static_cast<uint8_t>(wire::frame_type::ack)) return true;
  if (rate_.take(lane_.tick(), config.request_rate_per_second, config.request_burst)) return true;
  shared().metrics.rate_limited.add();
  shared().metrics.command(type_byte(bytes), encoding_bit(bytes), outcome::limited);
  refuse(type_byte(bytes), errc::rate_limited);
  close(close_policy, "too many frames", websocket::close_reason::limit);
  return false;
}

bool client::admit_before_login(const wire::inbound_frame& frame) {
  const bool allowed = frame.type == wire::frame_type::auth || frame.type == wire::frame_type::ping;
  if (!allowed) {
    close(close_policy, "log in first", websocket::close_reason::protocol);
    return false;
  }
  if (++frames_ > shared().config.prelogin_frames) {
    close(close_policy, "too many frames before login", websocket::close_reason::auth);
    return false;
  }
  if (frame.type == wire::frame_type::auth && phase_ == phase::connecting) enc_ = frame.enc;
  return true;
}

void client::handle(const wire::inbound_frame& frame) {
  if (shared().is_disabled(frame.type)) {
    shared().metrics.command(static_cast<uint8_t>(frame.type), frame.enc, outcome::refused);
    refuse(static_cast<uint8_t>(frame.type), errc::bad_interface);
    return;
  }
  commands::handler_of(frame.type)(*this, frame);
}

void client::on_batch_end(websocket::connection&) { lane_.flush(); }

void client::on_close(websocket::connection&, websocket::close_reason reason) {
  unplace();
  phase_ = phase::closing;
  shared().metrics.closed(reason);
  if (reason == websocket::close_reason::slow_consumer) shared().metrics.slow_consumers.add();
  lane_.flush();
}

// ---- deadlines ----------------------------------------------------------------------------------------------------

uint32_t client::next_deadline() const {
  const auto& config = lane_.shared().config;
  switch (phase_) {
    case phase::connecting:
      return opened_tick_ + core::ticks(config.auth_timeout);
    case phase::authenticating:
      return login_ ? login_->deadline : lane_.tick() + 1;
    default:
      break;
  }
  uint32_t due = heard_tick_ + core::ticks(config.ping_timeout);
  if (const auto oldest = terminal_.oldest_unacked()) {
    const std::chrono::milliseconds waited{lane_.shared().milliseconds() - *oldest};
    due = std::min(due, lane_.tick() + 1 + core::ticks(std::max(config.ack_timeout - waited, std::chrono::milliseconds{0})));
  }
  // A Bind without an answer is repeated: the session node may have lost it with its own start.
  if (phase_ == phase::rebinding) due = std::min(due, bind_tick_ + core::ticks(config.owner_timeout));
  return due;
}

bool client::overdue_acknowledgement() const {
  const auto oldest = terminal_.oldest_unacked();
  const core& core = lane_.shared();
  return oldest && std::chrono::milliseconds{core.milliseconds() - *oldest} >= core.config.ack_timeout;
}

void client::schedule() {
  if (is_closing()) return;
  const uint32_t due = next_deadline();
  if (due_tick_ != 0 && reached(due, due_tick_)) return;  // called early enough anyhow
  due_tick_ = lane_.watch(*this, due);
}

void client::on_deadline(uint32_t at) {
  if (at != due_tick_ || is_closing()) return;
  due_tick_ = 0;
  const auto& config = shared().config;
  const uint32_t now = lane_.tick();
  if (phase_ == phase::connecting) {
    if (reached(now, next_deadline())) {
      shared().metrics.auth_timeout.add();
      close(close_policy, "no login in time", websocket::close_reason::auth);
    }
  } else if (phase_ == phase::authenticating) {
    if (login_ && reached(now, login_->deadline)) {
      shared().metrics.auth_unavailable.add();
      refuse(static_cast<uint8_t>(wire::frame_type::auth), errc::overload);
      close(close_policy, "no session node answers", websocket::close_reason::auth);
    }
  } else if (reached(now, heard_tick_ + core::ticks(config.ping_timeout))) {
    close(close_going_away, "idle", websocket::close_reason::idle);
  } else if (overdue_acknowledgement()) {
    close(close_policy, "deliveries not acknowledged", websocket::close_reason::slow_consumer);
  } else {
    if (phase_ == phase::rebinding && !waiting_ && reached(now, bind_tick_ + core::ticks(config.owner_timeout))) place();
    terminal_.trim();
  }
  schedule();
}

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
    wait();
  } else if (code != errc::ok) {
    login_failed(code);
  } else if (result.redirect()) {
    account_ = account_id{result.account()};
    domain_ = result.domain();
    login_->redirected = true;
    login_->login_ns = result.login_ns();
    stream_ = {};
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
  connection_->set_max_message_bytes(config.max_frame_bytes);
  rate_.reset(lane_.tick(), config.request_burst);
  shared().metrics.auth_ok.add();
  shared().metrics.handshake_seconds.observe((shared().milliseconds() - opened_ms_) * 0.001);
  for (int answers = 1 + std::exchange(more_auths_, uint8_t{0}); answers > 0; --answers) send_login_ack();
  schedule();
}

void client::login_failed(errc code) {
  shared().metrics.auth_refused.add();
  phase_ = phase::connecting;
  login_.reset();
  account_ = {};
  stream_ = {};
  for (int answers = 1 + std::exchange(more_auths_, uint8_t{0}); answers > 0; --answers) {
    refuse(static_cast<uint8_t>(wire::frame_type::auth), code);
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

void client::wait() {
  stream_ = {};
  if (waiting_) return;
  waiting_ = true;
  lane_.wait_for_owner(*this);
}

void client::on_retry() {
  waiting_ = false;
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
  stream_ = to->stream;
  epoch_ = to->epoch;
  *item->mutable_login() = login_->request;
}

void client::place_bind() {
  const auto to = lane_.owner_of(slot_of(account_));
  if (!to || !lane_.is_up(to->stream)) {
    wait();
    return;
  }
  stream_ = to->stream;
  epoch_ = to->epoch;
  bind_tick_ = lane_.tick();
  if (!login_) shared().metrics.rebinds.add();
  send_bind(*to, login_ != nullptr);
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
  for (const delivery_ref& ref : terminal_.take_held()) ack_delivery(ref);
}

void client::on_bind_result(const session::v1::BindResult& result) {
  if (!is_bound()) return;
  const auto code = static_cast<errc>(result.code());
  if (code == errc::wrong_owner || code == errc::stale_epoch) {
    phase_ = phase::rebinding;
    wait();
  } else if (code != errc::ok) {
    close(close_policy, "the session ended", websocket::close_reason::error);
  } else if (phase_ == phase::rebinding) {
    phase_ = phase::bound;
    replay();
    schedule();
  }
}

void client::replay() {
  for (const inbound_frame& kept : terminal_.kept()) {
    gateway_item* item = lane_.add(stream_);
    if (item == nullptr) return;
    fill_frame(*item->mutable_frame(), kept);
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

void client::on_owner_changed(uint64_t epoch) {
  if (!is_bound() || epoch <= epoch_) return;
  phase_ = phase::rebinding;
  place();
}

void client::on_stream_down(link_handle stream) {
  if (stream_ != stream || is_closing()) return;
  stream_ = {};
  if (phase_ == phase::bound) phase_ = phase::rebinding;
  if (phase_ != phase::connecting) place();
}

void client::unplace() {
  if (phase_ != phase::closing && phase_ != phase::connecting) {
    if (gateway_item* item = lane_.add(stream_)) {
      item->mutable_closed()->set_conn(id_);
      item->mutable_closed()->set_account(account_.value);
    }
  }
  stream_ = {};
  login_.reset();
}

// ---- frames of the session owner ----------------------------------------------------------------------------------

void client::on_out(session::v1::Out& out) {
  if (!is_bound()) return;
  if (phase_ == phase::rebinding && delivers(out)) {
    // Sent before the owner saw our Bind, which does not list it: it comes again behind the BindResult.
    shared().metrics.rejected_generation.add();
    return;
  }
  if (out.confirm() != 0) on_confirm(out.confirm());
  outbound_frame frame;
  frame.type = static_cast<uint8_t>(out.type());
  frame.wants_ack = out.has_ref();
  frame.trace = out.trace();
  frame.accepted_ns = out.accepted_ns();
  if (out.has_ref()) {
    frame.ref = {static_cast<ref_kind>(out.ref().kind()),
                 {out.ref().conversation().hi(), out.ref().conversation().lo()},
                 out.ref().mid()};
  }
  if (enc_ == wire::encoding::thrift) {
    frame.payload = std::move(*out.mutable_payload());
  } else if (write_payload(static_cast<wire::frame_type>(frame.type), out.payload(), enc_, lane_.scratch(),
                           frame.payload) != errc::ok) {
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

void client::write(const outbound_frame& frame, int32_t sync_id) {
  if (is_closing()) return;
  const auto type = static_cast<wire::frame_type>(frame.type);
  const wire::frame_head head = sync_id == 0 ? wire::make_head(type) : wire::make_head(type, sync_id);
  connection_->send(head.view(), frame.payload);
  if (frame.trace != 0) log::trace(frame.trace, "gateway", "write");
  if (frame.accepted_ns != 0) {
    const int64_t took = shared().time.wall_ns() - frame.accepted_ns;
    shared().metrics.delivery_seconds.observe(static_cast<double>(std::max<int64_t>(took, 0)) * 1e-9);
  }
}

void client::cut_if_slow() {
  if (is_closing() || connection_->queued_bytes() <= shared().config.max_queue_bytes) return;
  unplace();
  phase_ = phase::closing;
  connection_->abort(websocket::close_reason::slow_consumer);
}

void client::on_confirm(uint64_t seq) {
  if (terminal_.confirm(seq)) resume_if_room();
}

void client::resume_if_room() {
  if (!paused_ || terminal_.unconfirmed() > shared().limits.unconfirmed / 2 || is_closing()) return;
  paused_ = false;
  connection_->pause_reading(false);
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

void client::close_for_drain() { close(close_going_away, "going away", websocket::close_reason::drain); }

// ---- for commands -------------------------------------------------------------------------------------------------

void client::send(wire::frame_type type, std::string_view payload) {
  if (is_closing()) return;
  connection_->send(wire::make_head(type).view(), payload);
  cut_if_slow();
}

void client::refuse(uint8_t type, errc code) {
  const errc shown = to_wire(code);
  wire::tim_ack ack;
  ack.tim_type = static_cast<int8_t>(type);
  ack.error = wire::tim_error{static_cast<int32_t>(shown), wire_text(shown)};
  std::string& out = lane_.buffer();
  wire::encode(enc_, ack, out);
  send(wire::frame_type::ack, out);
}

void client::forward(uint8_t type, std::string payload, uint64_t trace) {
  const inbound_frame& kept = terminal_.accept(type, std::move(payload), trace, shared().time.wall_ns());
  if (phase_ == phase::bound) {
    if (gateway_item* item = lane_.add(stream_)) fill_frame(*item->mutable_frame(), kept);
  }
  if (!paused_ && terminal_.full(shared().limits)) {
    paused_ = true;
    connection_->pause_reading(true);
  }
}

void client::acknowledge(int32_t sync_id) {
  const auto done = terminal_.acknowledge(sync_id, shared().milliseconds(), shared().limits, *this);
  if (!done) {
    bogus_ack();
    return;
  }
  if (done->trace != 0) log::trace(done->trace, "gateway", "ack");
  shared().metrics.client_ack_seconds.observe((shared().milliseconds() - done->written_ms) * 0.001);
  ack_delivery(done->ref);
  cut_if_slow();
}

void client::ack_delivery(const delivery_ref& ref) {
  gateway_item* item = lane_.newest(stream_);
  // Acknowledgements of one batch travel together.
  if (item == nullptr || !item->has_acked() || item->acked().conn() != id_) item = lane_.add(stream_);
  if (item == nullptr) {
    terminal_.hold(ref);  // between owners: told behind the next Bind
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

void client::bad_frame(uint8_t type, wire::encoding enc, errc code) {
  shared().metrics.command(type, enc, outcome::malformed);
  refuse(type, code);
  if (++bad_frames_ >= shared().config.max_bad_frames) {
    close(close_policy, "too many malformed frames", websocket::close_reason::protocol);
  }
}

void client::close(uint16_t code, std::string_view text, websocket::close_reason reason) {
  if (is_closing()) return;
  unplace();
  phase_ = phase::closing;
  connection_->close(code, text, reason);
}

}  // namespace tern::gateway

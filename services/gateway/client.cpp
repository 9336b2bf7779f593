#include "services/gateway/client.hpp"

#include <algorithm>
#include <utility>

#include "services/gateway/commands/commands.hpp"

namespace tern::gateway {

namespace {

bool reached(uint32_t tick, uint32_t due) noexcept { return static_cast<int32_t>(tick - due) >= 0; }

uint8_t type_byte(std::string_view bytes) noexcept {
  return bytes.empty() ? 0 : static_cast<uint8_t>(static_cast<uint8_t>(bytes.front()) & 0x7FU);
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
  lane_.count_client(true);
  schedule();
}

void client::on_message(websocket::connection&, std::string_view bytes, bool binary) {
  if (is_closing() || !admit(bytes, binary)) return;
  if (takes_big_data() != nullptr && !stands_between(bytes)) {
    if (!bytes.empty()) big_data_->heard_tick = lane_.tick();
    commands::more_big_data(*this, bytes);
    return;
  }
  const auto frame = wire::parse_frame(bytes);
  if (frame) {
    if (is_bound() || admit_before_login(*frame)) handle(*frame);
    return;
  }
  const bool known = !bytes.empty() && wire::find_command(type_byte(bytes)) != nullptr;
  if (!is_bound()) {
    shared().metrics.refused(refusal::before_login);
    close(close_policy, "log in first", websocket::close_reason::protocol);
  } else {
    bad_frame(type_byte(bytes), encoding_bit(bytes), bytes.empty() || known ? errc::bad_format : errc::bad_interface);
  }
}

bool client::admit(std::string_view bytes, bool binary) {
  heard_tick_ = lane_.tick();
  if (!binary) {
    shared().metrics.refused(refusal::transport);
    close(close_unsupported, "binary messages only", websocket::close_reason::protocol);
    return false;
  }
  if (takes_big_data() != nullptr && !stands_between(bytes)) {
    const big_data_assembler& frame = *big_data_->frame;
    return !too_many_frames(static_cast<uint8_t>(frame.type()), frame.encoding());
  }
  return !too_many_frames(type_byte(bytes), encoding_bit(bytes));
}

bool client::too_many_frames(uint8_t type, wire::encoding enc) {
  // Acknowledgements answer what we sent, as fast as we sent it: they do not count.
  if (type == static_cast<uint8_t>(wire::frame_type::ack)) return false;
  const auto& config = shared().config;
  refusal why = refusal::rate;
  if (!is_bound() || rate_.take(lane_.tick(), config.request_rate_per_second, config.request_burst)) {
    auto& others = shared().frames_of_address;
    if (!others.limits() || others.take(address_key(remote_address()), lane_.tick())) return false;
    why = refusal::address_rate;
  }
  shared().metrics.command(type, enc, outcome::limited);
  refuse(type, errc::rate_limited, why);
  close(close_policy, "too many frames", websocket::close_reason::limit);
  return true;
}

// ---- big data -----------------------------------------------------------------------------------------------------

/// PING, or ACK of something in the window: between the messages of a big-data frame nothing else can be told from
/// its bytes.
bool client::stands_between(std::string_view bytes) const noexcept {
  if (type_byte(bytes) == static_cast<uint8_t>(wire::frame_type::ping)) return bytes.size() == 1;
  if (type_byte(bytes) != static_cast<uint8_t>(wire::frame_type::ack)) return false;
  const auto sync_id = wire::parse_sync_id(bytes.substr(1));
  return sync_id && terminal_.awaits(*sync_id);
}

big_data_input& client::begin_big_data(big_data_assembler frame) {
  if (!big_data_) big_data_ = std::make_unique<big_data_input>(shared().big_data.memory);
  big_data_->frame.emplace(std::move(frame));
  big_data_->heard_tick = lane_.tick();
  schedule();
  // What follows of the frame need not look like big data.
  connection_->set_max_message_bytes(std::max<size_t>(shared().config.max_frame_bytes, big_message_bytes()));
  return *big_data_;
}

size_t client::big_message_bytes() noexcept {
  return shared().config.big_data_bytes + wire::big_head_bytes + wire::big_node_bytes + 1;
}

/// What was forwarded counts until it is confirmed.
void client::note_big_data() {
  big_data_->under_way = 0;
  for (const inbound_frame& each : terminal_.kept()) {
    if (wire::is_big(static_cast<wire::frame_type>(each.type))) big_data_->under_way += each.payload.size();
  }
  big_data_->share.resize(big_data_->under_way + (big_data_->frame ? big_data_->frame->held() : 0));
}

bool client::big_data_waits() const noexcept {
  return big_data_ && big_data_->under_way > 2 * lane_.shared().config.big_data_bytes;
}

bool client::big_data_overdue() const {
  return big_data_ && big_data_->frame &&
         reached(lane_.tick(), big_data_->heard_tick + core::ticks(lane_.shared().config.big_data_timeout));
}

bool client::admit_before_login(const wire::inbound_frame& frame) {
  const bool allowed = frame.type == wire::frame_type::auth || frame.type == wire::frame_type::ping;
  if (!allowed) {
    shared().metrics.refused(refusal::before_login);
    close(close_policy, "log in first", websocket::close_reason::protocol);
    return false;
  }
  if (++frames_ > shared().config.prelogin_frames) {
    shared().metrics.refused(refusal::before_login);
    close(close_policy, "too many frames before login", websocket::close_reason::auth);
    return false;
  }
  if (frame.type == wire::frame_type::auth && phase_ == phase::connecting) enc_ = frame.enc;
  return true;
}

void client::handle(const wire::inbound_frame& frame) {
  if (shared().is_disabled(frame.type)) {
    commands::switched_off(*this, frame);
    return;
  }
  commands::handler_of(frame.type)(*this, frame);
}

void client::on_batch_end(websocket::connection&) {
  if (shed_ && !cooling_ && !is_closing()) {
    cooling_ = true;
    connection_->pause_reading(true);
    lane_.cool_down(*this);
  }
  shed_ = false;
  if (big_data_ && !big_data_->frame && is_bound())
    connection_->set_max_message_bytes(shared().config.max_frame_bytes);
  lane_.flush();
}

void client::on_drained(websocket::connection&) {
  if (live_ && !is_closing()) live_->on_drained(shared().milliseconds());
}

void client::on_cooled() {
  cooling_ = false;
  read_again();
}

void client::read_again() {
  if (!paused_ && !cooling_ && !deaf_ && !is_closing()) connection_->pause_reading(false);
}

void client::on_close(websocket::connection&, websocket::close_reason reason) {
  unplace();
  phase_ = phase::closing;
  shared().metrics.closed(reason);
  lane_.count_client(false);
  if (reason == websocket::close_reason::slow_consumer) shared().metrics.slow_consumers.add();
  lane_.flush();
}

// ---- deadlines ----------------------------------------------------------------------------------------------------

uint32_t client::next_deadline() const {
  const auto& config = lane_.shared().config;
  switch (phase_) {
    case phase::connecting: return opened_tick_ + core::ticks(config.auth_timeout);
    case phase::authenticating: return login_ ? login_->deadline : lane_.tick() + 1;
    default: break;
  }
  uint32_t due = heard_tick_ + core::ticks(config.ping_timeout);
  if (const auto oldest = terminal_.oldest_unacked()) {
    const std::chrono::milliseconds waited{lane_.shared().milliseconds() - *oldest};
    due = std::min(
        due, lane_.tick() + 1 + core::ticks(std::max(config.ack_timeout - waited, std::chrono::milliseconds{0})));
  }
  if (big_data_ && big_data_->frame) {
    due = std::min(due, big_data_->heard_tick + core::ticks(config.big_data_timeout));
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

void client::await_ack() {
  const uint32_t due = lane_.tick() + 1 + core::ticks(shared().config.ack_timeout);
  if (due_tick_ == 0 || !reached(due, due_tick_)) due_tick_ = lane_.watch(*this, due);
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
      refuse(static_cast<uint8_t>(wire::frame_type::auth), errc::overload, refusal::overload);
      close(close_policy, "no session node answers", websocket::close_reason::auth);
    }
  } else if (reached(now, heard_tick_ + core::ticks(config.ping_timeout))) {
    close(close_going_away, "idle", websocket::close_reason::idle);
  } else if (overdue_acknowledgement()) {
    close(close_policy, "deliveries not acknowledged", websocket::close_reason::slow_consumer);
  } else {
    if (phase_ == phase::rebinding && ticket_ == 0 && reached(now, bind_tick_ + core::ticks(config.owner_timeout)))
      place();
    if (big_data_overdue()) commands::stalled_big_data(*this);
    if (big_data_ && !big_data_->frame && big_data_->under_way == 0) big_data_.reset();
    terminal_.trim();
  }
  schedule();
}

// ---- for commands -------------------------------------------------------------------------------------------------

void client::send(wire::frame_type type, std::string_view payload) {
  if (is_closing()) return;
  connection_->send(wire::make_head(type).view(), payload);
  cut_if_slow();
}

void client::refuse(uint8_t type, errc code, refusal why) {
  shared().metrics.refused(why);
  const errc shown = to_wire(code);
  wire::tim_ack ack;
  ack.tim_type = static_cast<int8_t>(type);
  ack.error = wire::tim_error{static_cast<int32_t>(shown), wire_text(shown)};
  std::string& out = lane_.buffer();
  wire::encode(enc_, ack, out);
  send(wire::frame_type::ack, out);
}

void client::shed(uint8_t type) {
  shared().metrics.command(type, enc_, outcome::limited);
  shared().metrics.refused(refusal::overload);
  shed_ = true;
  if (is_closing()) return;
  connection_->send_made(lane_.overloaded().of(type, enc_), false);
  cut_if_slow();
}

void client::forward(uint8_t type, std::string payload, uint64_t trace) {
  const inbound_frame& kept = terminal_.accept(type, std::move(payload), trace, shared().time.wall_ns());
  lane_.load().accepted();
  if (phase_ == phase::bound) {
    if (gateway_item* item = lane_.add(stream_)) fill_frame(*item->mutable_frame(), kept);
  }
  if (big_data_) note_big_data();
  if (!paused_ && (terminal_.full(shared().limits) || big_data_waits())) {
    paused_ = true;
    connection_->pause_reading(true);
  }
}

void client::bad_frame(uint8_t type, wire::encoding enc, errc code) {
  shared().metrics.command(type, enc, outcome::malformed);
  refuse(type, code, code == errc::bad_interface ? refusal::not_offered : refusal::malformed);
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

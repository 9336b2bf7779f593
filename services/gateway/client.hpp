// One client connection: its states, limits and frames. What the commands do with a frame is in commands/; the window
// and the numbering are the terminal's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "libs/base/errc.hpp"
#include "libs/base/ids.hpp"
#include "libs/websocket/server.hpp"
#include "libs/wire/frame.hpp"
#include "services/gateway/big_data.hpp"
#include "services/gateway/lane.hpp"
#include "services/gateway/live/viewer.hpp"
#include "services/gateway/rate.hpp"
#include "services/gateway/slot_index.hpp"
#include "services/gateway/terminal.hpp"

namespace tern::gateway {

// Close codes: RFC 6455 section 7.4.1.
inline constexpr uint16_t close_normal = 1000;
inline constexpr uint16_t close_going_away = 1001;
inline constexpr uint16_t close_unsupported = 1003;
inline constexpr uint16_t close_policy = 1008;

/// connecting: nothing yet · authenticating: a login is on its way · bound: a session node owns the terminal ·
/// rebinding: its stream broke or its range moved, and the new owner has not answered · closing.
enum class phase : uint8_t { connecting, authenticating, bound, rebinding, closing };

/// Owned by its websocket connection; used on one io thread. A few hundred bytes when idle.
class client final : public websocket::connection_handler, public slot_member, private frame_writer {
 public:
  explicit client(lane& where) : lane_(where) {}

  // ---- websocket ----
  void on_open(websocket::connection& self) override;
  void on_message(websocket::connection& self, std::string_view bytes, bool binary) override;
  void on_batch_end(websocket::connection& self) override;
  void on_drained(websocket::connection& self) override;
  void on_close(websocket::connection& self, websocket::close_reason reason) override;

  // ---- from the lane ----
  /// It is the client's turn to be placed, if that is its newest ticket.
  void on_turn(uint32_t ticket);
  void set_ticket(uint32_t ticket) noexcept { ticket_ = ticket; }
  /// The pause after a refusal for load is over.
  void on_cooled();
  /// `at` is the tick watch() gave.
  void on_deadline(uint32_t at);
  /// The newest map gives the account to somebody with this epoch; 0: to nobody.
  void on_owner_changed(uint64_t epoch);
  void on_stream_down(link_handle stream);
  void on_login_result(session::v1::LoginResult& result);
  void on_bind_result(const session::v1::BindResult& result);
  void on_out(session::v1::Out& out);
  /// A room message for this terminal among others. True: written, or waiting for its place in the window.
  bool on_room(room_frame& frame);
  /// See terminal::take_room_ack.
  std::optional<uint64_t> take_room_ack(uint64_t room) { return terminal_.take_room_ack(room); }
  void on_confirm(uint64_t seq);
  /// A command about a virtual room was answered. The client takes over the room's use, if there is one.
  void on_live_answer(const live::event& done);
  /// A frame for a virtual room was refused by its owner.
  void on_live_refused(const live::event& what);
  /// A virtual room has ended; `tell`: if the connection is subscribed, its client hears of it.
  void on_live_gone(const live::event& what);
  void on_close_terminal(const session::v1::CloseTerminal& order);
  // A drain (leaving.hpp). Nothing is unanswered or unwritten, and with `acknowledged` nothing unacknowledged.
  bool is_at_rest(bool acknowledged) const noexcept;
  /// The client is to be closed when it rests (or, false, stays).
  void leave_soon(bool on);
  bool is_leaving() const noexcept { return leaving_; }
  /// Reads no more from the client, which is leaving.
  void stop_listening();
  void close_for_drain();

  // ---- for commands ----
  core& shared() noexcept { return lane_.shared(); }
  lane& where() noexcept { return lane_; }
  phase state() const noexcept { return phase_; }
  bool is_bound() const noexcept { return phase_ == phase::bound || phase_ == phase::rebinding; }
  bool is_closing() const noexcept { return phase_ == phase::closing; }
  const std::string& remote_address() const noexcept { return connection_->remote_address(); }
  uint64_t id() const noexcept { return id_; }
  account_id account() const noexcept { return account_; }
  const std::string& domain() const noexcept { return domain_; }
  wire::encoding encoding() const noexcept { return enc_; }
  link_handle stream() const noexcept { return stream_; }
  /// Sends a frame that wants no acknowledgement, at once.
  void send(wire::frame_type type, std::string_view payload);
  /// ACK ok false for `type`, in the client's encoding. Counted as refused for `why`.
  void refuse(uint8_t type, errc code, refusal why);
  /// The connection's part in virtual rooms, made when first used.
  live::viewer& live();
  /// ACK about a virtual room: t = `rtype` unless 0, n = `node` unless empty. What is not ok is counted as refused
  /// for `why`.
  void answer_live(uint8_t type, errc code, int64_t rtype, std::string_view node, refusal why = refusal::live);
  /// The answer to AUTH, also to a second one.
  void send_login_ack();
  /// Sends the login to the owner of its slot, now or when there is one.
  void start_login(session::v1::Login login, wire::encoding enc);
  /// Another AUTH while the first is on its way: answered with it.
  void another_auth() noexcept { ++more_auths_; }
  /// Keeps the frame until it is confirmed and sends it to the session owner.
  void forward(uint8_t type, std::string payload, uint64_t trace);
  /// Refuses a frame for load with 5104: ready bytes, and cool_down().
  void shed(uint8_t type);
  /// A frame was let go for load: what the client sends next is read together in a while, since handling frames one
  /// by one as they come would cost more than a batch of them.
  void cool_down() noexcept { shed_ = true; }
  /// The client acknowledges a delivery.
  void acknowledge(int32_t sync_id);
  void bogus_ack();
  /// Counts a frame that made no sense; too many close the connection.
  void bad_frame(uint8_t type, wire::encoding enc, errc code);
  /// A frame of big data begins: until it ends, further messages are its bytes.
  big_data_input& begin_big_data(big_data_assembler frame);
  /// Whether a message with this first byte begins a big-data frame.
  static bool is_big_data(uint8_t first) noexcept {
    return wire::is_big(static_cast<wire::frame_type>(first & 0x7FU));
  }
  /// What one WebSocket message with big data may have.
  size_t big_message_bytes() noexcept;
  /// Null unless such a frame is coming in.
  big_data_input* takes_big_data() noexcept { return big_data_ && big_data_->frame ? big_data_.get() : nullptr; }
  void close(uint16_t code, std::string_view text, websocket::close_reason reason);

 private:
  /// A login on its way; gone once it is answered.
  struct login_attempt {
    session::v1::Login request;
    uint32_t deadline = 0;  // tick
    bool redirected = false;
    int64_t login_ns = 0;
  };

  void write(const outbound_frame& frame, int32_t sync_id) override;
  void write_live(const session::v1::Out& out);
  bool admit(std::string_view bytes, bool binary);
  bool admit_before_login(const wire::inbound_frame& frame);
  void handle(const wire::inbound_frame& frame);
  void place();
  void place_login();
  void place_bind();
  void send_bind(const owner& to, bool fresh);
  void replay();
  void fill_frame(session::v1::Frame& out, const inbound_frame& frame) const;
  void cut_if_slow();
  void unplace();
  void wait();
  void try_again();
  void move_to(link_handle stream);
  void leave_owner();
  void logged_in(const session::v1::LoginResult& result);
  void login_failed(errc code);
  void schedule();
  uint32_t next_deadline() const;
  bool overdue_acknowledgement() const;
  void resume_if_room();
  void read_again();
  void ack_delivery(const delivery_ref& ref);
  void tell_room_acks();
  void await_ack();
  bool too_many_frames(uint8_t type, wire::encoding enc);
  bool stands_between(std::string_view bytes) const noexcept;
  void note_big_data();
  bool big_data_waits() const noexcept;
  bool big_data_overdue() const;

  lane& lane_;
  websocket::connection* connection_ = nullptr;
  uint64_t id_ = 0;
  account_id account_;
  link_handle stream_;  // where it is bound, or where its Login or Bind went
  uint64_t epoch_ = 0;  // of the range, as the gateway acts on it
  int64_t login_ns_ = 0;
  terminal terminal_;
  std::unique_ptr<login_attempt> login_;
  std::unique_ptr<live::viewer> live_;
  std::unique_ptr<big_data_input> big_data_;  // null: none at all
  std::string domain_, resource_;
  token_bucket rate_;
  uint32_t opened_tick_ = 0, opened_ms_ = 0;
  uint32_t heard_tick_ = 0;  // of the last frame
  uint32_t due_tick_ = 0;    // the wheel calls at this tick
  uint32_t bind_tick_ = 0;   // of the last Bind
  uint32_t ticket_ = 0;      // in the lane's lists of who is to be placed; 0: in none
  uint16_t bad_frames_ = 0, bogus_acks_ = 0, frames_ = 0;
  uint8_t more_auths_ = 0;
  int8_t termtyp_ = 0;
  phase phase_ = phase::connecting;
  wire::encoding enc_ = wire::encoding::thrift;
  uint8_t attempts_ = 0;  // refusals in a row of those who should be the owner
  uint8_t binds_ = 0;     // number of the last Bind
  bool binding_ = false;  // a Bind over stream_ is unanswered
  bool paused_ = false;   // too much unconfirmed
  bool shed_ = false;     // in this batch
  bool cooling_ = false;  // in the lane's list
  bool leaving_ = false;  // a drain is about to close it
  bool deaf_ = false;     // and reads nothing more from it
};

}  // namespace tern::gateway

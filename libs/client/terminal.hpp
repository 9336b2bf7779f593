// One TIM terminal over a connection: log in, send, acknowledge; what comes in is decoded and handed to an observer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "libs/client/connection.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/frame.hpp"

namespace tern::client {

class terminal;

/// Told about one terminal. On the loop's thread; views are valid during the call only. Every call may send.
class terminal_observer {
 public:
  virtual ~terminal_observer() = default;
  /// The WebSocket is open: time to log in.
  virtual void on_open(terminal& self) = 0;
  /// MESSAGE, or one entry of an OFFLINEMSG list (then `batch` is true). A receipt is a message from oneself.
  virtual void on_message(terminal& self, const wire::tim_message& message, bool batch) = 0;
  /// ACK and LOGOUT (then `logout`): answers, errors, the result of AUTH (timType 16).
  virtual void on_ack(terminal& self, const wire::tim_ack& ack, bool logout) = 0;
  virtual void on_nodes(terminal&, const wire::tim_nodes&) {}
  virtual void on_history(terminal&, const wire::tim_message_list&) {}
  virtual void on_offline_end(terminal&) {}
  /// STREAM: a frame of a virtual room.
  virtual void on_stream(terminal&, const wire::tim_stream&) {}
  /// BIGSTRING, BIGBINARY (`node` is the sender) and BIGBINARYSTREAM (`node` is the virtual room), without separator.
  virtual void on_big_data(terminal&, wire::frame_type, std::string_view /*node*/, std::string_view /*data*/) {}
  virtual void on_pong(terminal&) {}
  /// Last call.
  virtual void on_closed(terminal& self, std::string_view why) = 0;
};

/// Not thread-safe: loop's thread only.
class terminal final : private connection_observer {
 public:
  terminal(loop& where, const endpoint& to, wire::encoding encoding, terminal_observer& observer);

  void login(const wire::tim_auth& who) { send(wire::frame_type::auth, who); }
  /// Sends one ordinary 1:1 message; `id` is the client's own key (0 = none).
  void send_text(std::string_view to_node, std::string_view text, int64_t id);
  void ping();
  void request_offline();

  template <class Struct>
  void send(wire::frame_type type, const Struct& value) {
    scratch_.clear();
    wire::encode(encoding_, value, scratch_);
    send_raw(type, scratch_);
  }
  void send_raw(wire::frame_type type, std::string_view payload);
  /// Sends `data` to a node (BIGSTRING, BIGBINARY) or a virtual room (BIGBINARYSTREAM), in WebSocket messages of a
  /// size that every server takes.
  void send_big_data(wire::frame_type type, std::string_view node, std::string_view data);

  /// Whether frames that want it are acknowledged by themselves (default), after the observer has seen them.
  void set_auto_ack(bool on) noexcept { auto_ack_ = on; }
  bool is_open() const noexcept { return connection_.is_open(); }
  void abort(std::string_view why) { connection_.abort(why); }
  connection& transport() noexcept { return connection_; }
  wire::encoding encoding() const noexcept { return encoding_; }
  /// Bytes that could not be decoded so far: a bug on either side.
  uint64_t undecodable() const noexcept { return undecodable_; }

 private:
  void on_open(connection& self) override;
  void on_frame(connection& self, const frame& received) override;
  void on_closed(connection& self, std::string_view why) override;
  void dispatch(const frame& received);

  terminal_observer& observer_;
  wire::encoding encoding_;
  bool auto_ack_ = true;
  uint64_t undecodable_ = 0;
  std::string scratch_;
  wire::arena memory_;
  connection connection_;
};

struct account {
  std::string name;
  std::string password;
  std::string domain;
  std::string node;
};

/// POST /tim2: creates the account; the value is its node. Blocking.
result<std::string> register_account(const endpoint& to, const account& who, wire::encoding encoding);
/// POST /tim2: a login token. Blocking.
result<std::string> fetch_token(const endpoint& to, const account& who, wire::encoding encoding);

}  // namespace tern::client

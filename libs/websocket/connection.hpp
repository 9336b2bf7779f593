// One accepted connection: TLS handshake, HTTP requests, then WebSocket until its end.
#pragma once

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>

#include "libs/websocket/frame_parser.hpp"
#include "libs/websocket/http_parser.hpp"
#include "libs/websocket/io_thread.hpp"
#include "libs/websocket/socket_io.hpp"

namespace tern::websocket {

/// Lives on its io thread. Calls of the application and of asio only change the state and mark the connection dirty;
/// settle(), at the end of the wake-up, does what follows from it: on_close, writing, on_drained, waiting, removal.
/// So no handler is ever entered from inside send(), close() or abort(), and all that was queued in a wake-up leaves
/// in one write.
class connection_impl final : public connection, public std::enable_shared_from_this<connection_impl> {
 public:
  connection_impl(io_thread_impl& thread, uint64_t id, peer_address address);
  ~connection_impl() override;

  uint64_t id() const noexcept override { return id_; }
  io_thread& thread() const noexcept override { return thread_; }
  const std::string& remote_address() const noexcept override { return address_.text; }
  connection_handler& handler() noexcept override { return *handler_; }
  void send(std::string_view head, std::string_view payload) override;
  void send_made(std::string_view message, bool at_once) override;
  size_t queued_bytes() const noexcept override { return out_.size() - out_begin_; }
  void pause_reading(bool paused) override;
  void set_max_message_bytes(size_t bytes) noexcept override { parser_.set_max_message_bytes(bytes); }
  void set_large_messages(size_t bytes, bool (*are)(uint8_t first)) noexcept override {
    parser_.set_large_messages(bytes, are);
  }
  void close(uint16_t code, std::string_view text, close_reason reason) override;
  void abort(close_reason reason) override;

  /// Takes over the socket and waits for the client to speak.
  void serve(unique_fd fd);
  /// Takes over the socket only to answer 503.
  void turn_away(unique_fd fd);
  /// The application's answer to the request with this number.
  void on_reply(uint32_t request_number, const response& what);
  /// Drops it because the server stops.
  void stop();
  /// See the class. Called by io_thread_impl::end_of_wakeup only.
  void settle();
  void on_deadline();
  /// True from on_open to on_close.
  bool is_websocket() const noexcept { return phase_ == phase::open || phase_ == phase::closing; }

  struct deadline_node : wheel_node {
    connection_impl* owner = nullptr;
  };

 private:
  enum class phase : uint8_t {
    tls,        // handshake
    http,       // reading a request
    replying,   // the application has a request
    open,       // WebSocket
    closing,    // our close frame is queued or sent, the peer's is awaited
    finishing,  // only what is queued is still written
    lingering,  // our side is shut down; input is thrown away until the peer is done, so that no reset eats our
                // answer
    dead,
  };

  // What is needed for HTTP only; freed by the upgrade.
  struct http_stage {
    head_scanner scanner;
    size_t need = 0;  // bytes of the whole request once its head is known
    uint32_t requests = 0;
    bool counted_half_open = true;
    bool continue_sent = false;
    bool keep_alive = false;
    bool head_only = false;
  };

  // connection.cpp: socket, deadlines, closing.
  void wait_readable();
  void wait_writable();
  void on_readable();
  void on_writable();
  void on_handshake();
  void on_input();
  void drain_input();
  io_outcome read_socket(char* data, size_t size) noexcept;
  io_outcome write_socket(const char* data, size_t size) noexcept;
  void flush();
  void on_drained();
  bool wants_read() const noexcept;
  void mark_dirty();
  void adopt_socket(unique_fd fd);
  std::string& out();
  void finish(std::chrono::milliseconds within);
  void die();
  void die(close_reason reason);
  void note_close(close_reason reason) noexcept;
  void tell_close();
  void set_deadline(std::chrono::milliseconds after) noexcept { thread_.set_deadline(deadline_, after); }

  // input.cpp: from bytes to requests and messages.
  void feed(char* data, size_t size);
  void consume_kept();
  size_t consume(char* data, size_t size);
  bool can_consume() const noexcept;
  size_t consume_request(char* data, size_t size);
  bool find_head(std::string_view bytes);
  void dispatch(http_head& head);
  void open_websocket(const http_head& head);
  void hand_over_request(const http_head& head);
  void refuse(int status, std::string_view text);
  void answer_and_finish(const response& what);
  void leave_half_open() noexcept;
  size_t consume_frame(char* data, size_t size);
  void on_control_frame(const frame_step& step);
  void on_peer_close(const frame_step& step);
  void fail_websocket(uint16_t code, std::string_view text, close_reason reason);
  void end_batch();

  using socket_type = boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

  io_thread_impl& thread_;
  const uint64_t id_;
  const peer_address address_;
  socket_type socket_;
  std::optional<tls_stream> tls_;
  std::unique_ptr<connection_handler> handler_;
  std::unique_ptr<http_stage> http_;
  std::unique_ptr<std::string> pong_;  // answer to the newest ping not yet answered
  frame_parser parser_;
  std::string in_;   // input that is not complete or not wanted yet
  std::string out_;  // from out_begin_: not accepted by the kernel yet
  size_t out_begin_ = 0;
  deadline_node deadline_;
  uint32_t control_second_ = 0;
  uint16_t control_frames_ = 0;  // in control_second_

  phase phase_ = phase::http;
  close_reason reason_ = close_reason::error;
  bool turned_away_ : 1 = false;
  bool dirty_ : 1 = false;
  bool removed_ : 1 = false;
  bool read_armed_ : 1 = false;
  bool write_armed_ : 1 = false;
  bool want_write_ : 1 = false;
  bool read_blocked_ : 1 = false;  // TLS has to write before it can read
  bool paused_ : 1 = false;
  bool resume_ : 1 = false;       // kept input may be consumable now
  bool delivered_ : 1 = false;    // messages since the last on_batch_end
  bool close_noted_ : 1 = false;  // on_close is due
  bool close_told_ : 1 = false;
  bool close_flushed_ : 1 = false;
  bool reset_ : 1 = false;  // end with a TCP reset
};

}  // namespace tern::websocket

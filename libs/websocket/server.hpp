// RFC 6455 WebSocket server on Asio with a small idle footprint: no read buffer per idle connection, frames coalesced
// into one write per wake-up, optional TLS, and plain HTTP requests beside it on the same port.
//
// Threading: a server has N io threads; a connection lives on one of them for life, and all calls on it and on its
// handler happen there. Other threads reach a connection by io_thread::post and its id.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::websocket {

struct server_options {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  // 0: any free one, see server::port()
  size_t threads = 1;
  int backlog = 4096;
  size_t max_connections = 1'000'000;            // per server; further ones are answered 503 and closed
  size_t max_half_open_per_address = 1000;       // connections without a finished HTTP head or handshake
  std::chrono::milliseconds head_timeout{5000};  // TLS handshake and HTTP head together
  size_t max_head_bytes = 8192;
  size_t max_head_fields = 100;
  size_t max_body_bytes = 65536;     // of a plain HTTP request: 413 above
  size_t max_message_bytes = 65536;  // default per connection, see connection::set_max_message_bytes
  std::chrono::milliseconds write_stall_timeout{20000};  // nothing could be written for so long: closed as slow
  std::chrono::milliseconds close_timeout{2000};
  bool tls = false;
  std::string certificate_file;  // PEM chain; with tls a failure to load is an error of listen()
  std::string private_key_file;
};

struct request {
  std::string_view method;  // as sent, e.g. "GET"
  std::string_view path;    // up to '?'
  std::string_view query;
  std::string_view body;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  std::string remote_address;  // without port
  /// First value of a field by case-insensitive name; empty if absent.
  std::string_view field(std::string_view name) const noexcept;
};

struct response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;
};

enum class close_reason : uint8_t { client, idle, auth, slow_consumer, drain, limit, protocol, error };
std::string_view to_string(close_reason reason) noexcept;

class connection;

/// What a WebSocket connection does; made by upgrade_function, owned by its connection. On the connection's io
/// thread.
class connection_handler {
 public:
  virtual ~connection_handler() = default;
  virtual void on_open(connection& self) = 0;
  /// One whole message, unmasked; `bytes` is valid during the call only.
  virtual void on_message(connection& self, std::string_view bytes, bool binary) = 0;
  /// All messages of one socket read have been given: the place to hand over what was gathered.
  virtual void on_batch_end(connection& self) = 0;
  /// The kernel has taken all that was queued, after a time in which something was: the place to send what was held
  /// back. Not called from inside send() and the like, and not for what send_made() wrote at once.
  virtual void on_drained(connection&) {}
  /// Last call; the connection sends nothing more. `reason` is why (who closed first).
  virtual void on_close(connection& self, close_reason reason) = 0;
};

class io_thread;

/// One WebSocket connection. All methods on its io thread.
class connection {
 public:
  virtual ~connection() = default;
  /// Unique in this server for its lifetime: io thread index in the top 16 bits, a counter below.
  virtual uint64_t id() const noexcept = 0;
  virtual io_thread& thread() const noexcept = 0;
  virtual const std::string& remote_address() const noexcept = 0;
  virtual connection_handler& handler() noexcept = 0;
  /// Queues a binary message made of two parts (head, payload); written with its neighbours at the end of this
  /// wake-up.
  virtual void send(std::string_view head, std::string_view payload) = 0;
  /// Sends a message made by append_message(): for one payload to many connections. With `at_once` and nothing queued
  /// before it, it is written within this call, so that no buffer per connection lives until the end of the wake-up;
  /// else as send() does. Handlers are not entered from inside.
  virtual void send_made(std::string_view message, bool at_once) = 0;
  /// Bytes queued and not yet accepted by the kernel.
  virtual size_t queued_bytes() const noexcept = 0;
  /// Stops (true) or goes on (false) reading from the socket: back-pressure.
  virtual void pause_reading(bool paused) = 0;
  virtual void set_max_message_bytes(size_t bytes) noexcept = 0;
  /// Messages whose first byte `are` accepts may have `bytes`, if that is more.
  virtual void set_large_messages(size_t bytes, bool (*are)(uint8_t first)) noexcept = 0;
  /// Flushes what is queued, sends a close frame with `code`, waits close_timeout for the peer's. Idempotent.
  virtual void close(uint16_t code, std::string_view text, close_reason reason) = 0;
  /// Drops the connection at once (slow consumer, protocol error after close).
  virtual void abort(close_reason reason) = 0;
};

/// One io thread of the server.
class io_thread {
 public:
  virtual ~io_thread() = default;
  virtual size_t index() const noexcept = 0;
  /// Runs `work` on this thread soon. Thread-safe.
  virtual void post(std::function<void()> work) = 0;
  /// Runs `work` on this thread every `period` until the server stops. From the io thread or before start().
  virtual void every(std::chrono::milliseconds period, std::function<void()> work) = 0;
  /// Runs `work` on this thread once, no sooner than `delay` from now; never, if the server stops before. From the io
  /// thread.
  virtual void after(std::chrono::milliseconds delay, std::function<void()> work) = 0;
  /// The live connection with this id, or nullptr. On this io thread only.
  virtual connection* find(uint64_t id) noexcept = 0;
  /// Calls `visit` for each open WebSocket connection. On this io thread only.
  virtual void for_each(const std::function<void(connection&)>& visit) = 0;
};

/// Appends a whole binary message with the payload head + payload, as it goes to a client; for connection::send_made.
void append_message(std::string& out, std::string_view head, std::string_view payload);

/// Decides on an upgrade request: a handler accepts it, a response (status >= 400) refuses it.
struct upgrade_decision {
  std::unique_ptr<connection_handler> handler;
  response refusal;
};
using upgrade_function = std::function<upgrade_decision(io_thread&, const request&)>;

/// Answers a plain HTTP request: `reply` may be called later, from any thread, exactly once.
using reply_function = std::function<void(response)>;
using request_function = std::function<void(io_thread&, const request&, reply_function reply)>;

/// Counters of the whole server, thread-safe snapshot.
struct server_stats {
  uint64_t accepted = 0, open = 0, half_open = 0, websockets = 0;
  uint64_t received_bytes = 0, sent_bytes = 0, queued_bytes = 0, reads = 0, writes = 0;
  uint64_t messages_in = 0, messages_out = 0;
  uint64_t refused_limit = 0, refused_protocol = 0;
};

class server {
 public:
  virtual ~server() = default;
  /// Binds and listens; errc::config with the reason for a bad address, port in use or TLS material.
  virtual result<void> listen() = 0;
  /// Starts the io threads (listen first).
  virtual void start() = 0;
  virtual uint16_t port() const noexcept = 0;
  virtual std::vector<io_thread*> threads() = 0;
  /// Closes the listener only: no new connections. Thread-safe.
  virtual void stop_accepting() = 0;
  /// Listens again at the same port after stop_accepting(), soon: as long as somebody else has it, each second.
  /// Thread-safe.
  virtual void resume_accepting() = 0;
  /// Drops every connection (on_close(drain)) and joins the threads. Idempotent.
  virtual void stop() = 0;
  virtual server_stats stats() const = 0;
  /// Reads the certificate files again for connections to come; on errc::config the old ones stay. Thread-safe.
  virtual result<void> reload_certificates() = 0;
};

std::unique_ptr<server> make_server(server_options options, upgrade_function on_upgrade, request_function on_request);

}  // namespace tern::websocket

// The client side of one WebSocket connection that carries TIM frames (RFC 6455, binary messages, masked).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "libs/client/loop.hpp"

namespace tern::client {

struct endpoint {
  std::string host = "127.0.0.1";  // numeric IPv4
  uint16_t port = 0;
};

/// "127.0.0.1:5081" -> endpoint; nothing for anything else.
std::optional<endpoint> parse_endpoint(std::string_view text);

/// A frame from the server.
struct frame {
  uint8_t type = 0;                // without 0x80
  std::optional<int32_t> sync_id;  // set: acknowledgement wanted
  std::string_view payload;
};

class connection;

/// Told about one connection. On the loop's thread. May call the connection, but not destroy it inside a call.
class connection_observer {
 public:
  virtual ~connection_observer() = default;
  virtual void on_open(connection& self) = 0;
  virtual void on_frame(connection& self, const frame& received) = 0;
  /// Last call. `why` is for people.
  virtual void on_closed(connection& self, std::string_view why) = 0;
};

/// Not thread-safe: loop's thread only. Destroying it closes the socket without further calls.
class connection final : public io_target {
 public:
  /// Starts connecting; the outcome comes as on_open or on_closed.
  connection(loop& where, const endpoint& to, connection_observer& observer);
  ~connection() override;
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  bool is_open() const noexcept { return state_ == state::open; }
  /// Queues one binary message: the first byte, then the payload. Written at the end of the round.
  void send(uint8_t first_byte, std::string_view payload);
  /// Queues the acknowledgement of a sync id.
  void send_ack(int32_t sync_id, bool json);
  /// Ends the connection at once, with on_closed.
  void abort(std::string_view why);
  /// No more reads until resumed: a client that stalls.
  void pause_reading(bool paused);
  /// Makes the kernel take at most about so many bytes for us before we read them; for clients that stall.
  void limit_receive_buffer(int bytes);
  size_t queued_bytes() const noexcept { return out_.size() - out_at_; }

  void on_ready(uint32_t events) override;

 private:
  enum class state : uint8_t { connecting, upgrading, open, closed };

  void start_upgrade();
  void read_all(bool to_end);
  size_t parse(std::string_view bytes);
  size_t parse_upgrade(std::string_view bytes);
  size_t parse_frames(std::string_view bytes);
  void handle_message(uint8_t opcode, bool final, std::string_view payload);
  void deliver(std::string_view message);
  void put_frame(uint8_t opcode, std::string_view head, std::string_view payload);
  void schedule_flush();
  void flush();
  void close_socket(std::string_view why);

  loop& loop_;
  connection_observer& observer_;
  int fd_ = -1;
  state state_ = state::connecting;
  bool flush_scheduled_ = false;
  bool paused_ = false;
  uint32_t mask_ = 0;
  std::string in_;
  std::string message_;  // of a fragmented message
  std::string out_;
  size_t out_at_ = 0;
  std::string host_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// One blocking POST; returns status and body. Status 0: no answer (connection refused, closed, or `limit` passed).
struct http_reply {
  int status = 0;
  std::string body;
};
http_reply http_post(const endpoint& to, std::string_view path, std::string_view body,
                     std::chrono::milliseconds limit = std::chrono::milliseconds(10'000));
http_reply http_get(const endpoint& to, std::string_view path,
                    std::chrono::milliseconds limit = std::chrono::milliseconds(10'000));

}  // namespace tern::client

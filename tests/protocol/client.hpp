// A small synchronous WebSocket and HTTP client for tests, on plain sockets: it sends exactly the bytes it is told
// to, also wrong ones.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "libs/wire/codec.hpp"
#include "libs/wire/frame.hpp"

namespace tern::testing {

/// How long a test waits for what must come, and for what must not.
/// TERN_TEST_PATIENCE_MS in the environment changes the first.
std::chrono::milliseconds patience_from_environment();
inline const std::chrono::milliseconds patience = patience_from_environment();
inline constexpr std::chrono::milliseconds silence{150};

/// A TCP connection to 127.0.0.1. Not thread-safe.
class raw_socket {
 public:
  explicit raw_socket(uint16_t port);
  ~raw_socket();
  raw_socket(raw_socket&& other) noexcept;
  raw_socket(const raw_socket&) = delete;
  raw_socket& operator=(const raw_socket&) = delete;

  bool is_open() const noexcept { return fd_ >= 0; }
  /// False when the peer has reset the connection or takes nothing for 5 s.
  bool write(std::string_view bytes);
  /// Appends what has come; false at end, error or after `wait`.
  bool read_some(std::string& out, std::chrono::milliseconds wait);
  /// How many bytes the kernel keeps for us: small for a client that is to look slow. Before traffic.
  void shrink_receive_buffer(int bytes);
  void close();

 private:
  int fd_ = -1;
};

struct http_answer {
  int status = 0;
  std::map<std::string, std::string> fields;  // names in lower case
  std::string body;
};

/// One request on a connection of its own. Status 0: no answer.
http_answer http_request(uint16_t port, std::string_view method, std::string_view path, std::string_view body = {},
                         std::string_view more_fields = {});

/// A WebSocket connection.
class ws_client {
 public:
  explicit ws_client(uint16_t port, std::string_view more_fields = {}, std::string_view path = "/tim");

  /// Status of the upgrade: 101 when it is a WebSocket now.
  int status() const noexcept { return status_; }
  bool send(std::string_view message) { return send_message(2, message); }
  bool send_text(std::string_view message) { return send_message(1, message); }
  /// The next binary message; nothing at the end of the connection or after `wait`.
  std::optional<std::string> receive(std::chrono::milliseconds wait = patience);
  /// Reads until the server closes; its code (0 without a close frame), nothing when it stays open.
  std::optional<uint16_t> wait_close(std::chrono::milliseconds wait = patience);
  bool ended() const noexcept { return ended_; }
  raw_socket& socket() noexcept { return socket_; }

 private:
  bool send_message(uint8_t opcode, std::string_view message);
  bool next_frame(std::chrono::milliseconds wait);

  raw_socket socket_;
  std::string input_;
  std::deque<std::string> messages_;
  int status_ = 0;
  uint16_t close_code_ = 0;
  bool ended_ = false;
};

/// A frame from the server. `payload` owns its bytes; decode with tim_client::read.
struct server_frame {
  wire::frame_type type = wire::frame_type::ack;
  std::optional<int32_t> sync_id;
  std::string payload;
};

/// A TIM terminal in one encoding. Acknowledges by itself unless told not to.
class tim_client {
 public:
  tim_client(uint16_t port, wire::encoding enc) : ws_(port), enc_(enc) {}

  template <class T>
  bool send(wire::frame_type type, const T& value) {
    return send_bytes(type, wire::encode(enc_, value));
  }
  /// A frame with this payload, in this client's encoding bit.
  bool send_bytes(wire::frame_type type, std::string_view payload);
  /// AUTH with a name and password; the answer.
  wire::tim_ack login(std::string_view name, std::string_view password, std::string_view domain = {});
  wire::tim_ack login(const wire::tim_auth& auth);
  std::optional<server_frame> next(std::chrono::milliseconds wait = patience);
  /// The next frame of this type; others before it are dropped.
  std::optional<server_frame> next(wire::frame_type type, std::chrono::milliseconds wait = patience);
  /// The next frame that is wanted; others before it are kept, in order, for later calls.
  std::optional<server_frame> find(const std::function<bool(const server_frame&)>& wanted,
                                   std::chrono::milliseconds wait = patience);
  /// The payload as T; views live until the next call of read() on this client. Fails the test when it is none.
  template <class T>
  T read(const server_frame& frame) {
    kept_ = frame.payload;
    memory_.clear();
    auto value = wire::decode<T>(enc_, kept_, memory_);
    return value ? *value : bad<T>();
  }
  /// The next ACK (of `type` if given) as TimAck.
  wire::tim_ack next_ack();
  bool acknowledge(int32_t sync_id);
  void acknowledge_by_itself(bool does) { auto_ack_ = does; }
  ws_client& ws() noexcept { return ws_; }
  wire::encoding enc() const noexcept { return enc_; }
  /// Own node, after login().
  const std::string& node() const noexcept { return node_; }

 private:
  std::optional<server_frame> read_frame(std::chrono::milliseconds wait);
  static void report_bad();
  template <class T>
  T bad() {
    report_bad();
    return {};
  }

  ws_client ws_;
  wire::encoding enc_;
  wire::arena memory_;
  std::string kept_, node_;
  std::deque<server_frame> unread_;  // passed over by find()
  bool auto_ack_ = true;
};

/// Type byte with the encoding bit, then the payload.
std::string client_frame(wire::frame_type type, wire::encoding enc, std::string_view payload);

/// REGISTER or TOKEN through POST /tim2: the TimAck's code (0 = ok) and n.
struct account_answer {
  int status = 0;
  int code = -1;
  std::string n;
};
account_answer account_call(uint16_t port, wire::frame_type type, wire::encoding enc, std::string_view name,
                            std::string_view password, std::string_view domain = {});

}  // namespace tern::testing

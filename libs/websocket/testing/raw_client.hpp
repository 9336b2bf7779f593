// A blocking socket client for tests that send what no library would.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tern::websocket::testing {

/// A frame as a client writes it, masked with a fixed key unless told otherwise.
struct client_frame {
  unsigned first = 0x82;  // FIN, RSV, opcode
  std::string_view payload;
  bool masked = true;
  int length_form = 0;  // 0: shortest; 126, 127: forced
  std::string bytes() const;
};

/// Masked frame with FIN set.
std::string frame(unsigned opcode, std::string_view payload);
/// Masked close frame.
std::string close_frame(uint16_t code, std::string_view text = {});

/// An opening handshake that is right; `extra` is more field lines, each with its CRLF.
std::string upgrade_request(std::string_view extra = {}, std::string_view path = "/");

/// One frame read from the server.
struct server_frame {
  unsigned first = 0;
  std::string payload;
  bool ok = false;  // false: the stream ended or nothing came in time
  unsigned opcode() const { return first & 0x0FU; }
  /// Code of a close frame, 1005 when it has none.
  uint16_t code() const;
};

/// Owns its socket; every wait ends after five seconds.
class raw_client {
 public:
  /// From `source` (an address of 127.0.0.0/8) when given.
  explicit raw_client(uint16_t port, const std::string& source = {});
  ~raw_client();
  raw_client(raw_client&& other) noexcept;
  raw_client(const raw_client&) = delete;

  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  /// False when the server has closed.
  bool send(std::string_view bytes);
  /// Handshakes; true on 101.
  bool upgrade(std::string_view extra = {});
  /// Up to and with `mark`; whatever came when it did not.
  std::string read_until(std::string_view mark);
  std::string read_exactly(size_t bytes);
  /// Everything until the server closes; `closed` tells if it did.
  std::string read_to_end(bool* closed = nullptr);
  server_frame read_frame();
  /// Status of the next HTTP answer with its body consumed; 0 when none came.
  int read_status(std::string* head = nullptr, std::string* body = nullptr);
  /// True when the server closes (or resets) without sending more.
  bool at_end();
  void shut_write();

 private:
  bool fill();

  int fd_ = -1;
  std::string kept_;
};

}  // namespace tern::websocket::testing

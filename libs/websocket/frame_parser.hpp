// RFC 6455 framing without I/O: the receiving side of a server (section 5) and the writing of its frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tern::websocket {

enum class opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Close codes this server sends by itself (RFC 6455 7.4.1).
namespace close_code {
inline constexpr uint16_t normal = 1000;
inline constexpr uint16_t going_away = 1001;
inline constexpr uint16_t protocol = 1002;
inline constexpr uint16_t bad_text = 1007;
inline constexpr uint16_t policy = 1008;
inline constexpr uint16_t too_big = 1009;
inline constexpr uint16_t internal = 1011;
inline constexpr uint16_t none = 1005;  // never on the wire: the peer gave none
}  // namespace close_code

enum class frame_event : uint8_t {
  need_more,  // nothing consumed: call again with more bytes behind the same ones
  fragment,   // a part of a message was taken over
  message,    // a whole message in `payload`
  ping,
  pong,
  close,  // `code` is the peer's, or close_code::none; `payload` its reason
  error,  // the connection has to fail with close code `code`; the parser must not be used any more
};

struct frame_step {
  frame_event event = frame_event::need_more;
  bool binary = false;
  uint16_t code = 0;
  size_t consumed = 0;       // bytes of this frame
  std::string_view payload;  // unmasked; valid until the next call or change of the bytes given
  std::string_view what;     // why an error is one, static text
};

/// Takes the frames of one client apart. Keeps memory only while a fragmented message is incomplete, at most the
/// message limit. Not thread-safe; owned by a connection.
class frame_parser {
 public:
  /// Non-final fragments without payload that one message may have: they cost time and no memory.
  static constexpr uint16_t max_empty_fragments = 64;

  explicit frame_parser(size_t max_message_bytes) noexcept : limit_(max_message_bytes) {}

  /// Takes the frame at `data`, which it unmasks in place. Errors are found with the first byte that shows them, so
  /// a declared length never makes it wait or allocate.
  frame_step next(char* data, size_t size);

  /// Frees an assembled message after its use.
  void release() noexcept {
    if (!in_message_) assembled_.reset();
  }
  void set_max_message_bytes(size_t bytes) noexcept { limit_ = bytes; }
  /// Messages whose first byte `are` accepts may have up to `bytes` (when that is more than the limit of all). A
  /// length above the limit of all is judged when the first byte of the message is there, not before.
  void set_large_messages(size_t bytes, bool (*are)(uint8_t first)) noexcept {
    large_limit_ = bytes;
    are_large_ = are;
  }
  /// True between the first and the last fragment of a message.
  bool in_message() const noexcept { return in_message_; }

 private:
  frame_step control(opcode code, std::string_view payload, size_t consumed) const;
  frame_step data(opcode code, bool fin, std::string_view payload, size_t consumed);
  frame_step whole(bool binary, std::string_view payload, size_t consumed) const;
  bool may_be_large(uint8_t first) const noexcept { return are_large_ != nullptr && are_large_(first); }

  size_t limit_;
  size_t large_limit_ = 0;
  bool (*are_large_)(uint8_t first) = nullptr;
  std::unique_ptr<std::string> assembled_;  // only while a message comes in several frames
  uint16_t empty_fragments_ = 0;
  bool in_message_ = false;
  bool binary_ = false;
};

/// XORs `size` bytes with the four-byte mask at `mask` (RFC 6455 5.3).
void unmask(char* data, size_t size, const unsigned char* mask) noexcept;

/// True for close codes a peer may send: 1000-1003, 1007-1014, 3000-4999.
bool valid_close_code(uint16_t code) noexcept;

/// Appends an unmasked final frame with the payload head + payload.
void append_frame(std::string& out, opcode code, std::string_view head, std::string_view payload);

/// Appends a close frame: empty for codes that must not be sent, the text cut to 123 bytes at a code point.
void append_close(std::string& out, uint16_t code, std::string_view text);

}  // namespace tern::websocket

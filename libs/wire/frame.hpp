// TIM frames: the type byte, the acknowledgement header, and the command table. No I/O.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "libs/base/result.hpp"
#include "libs/wire/codec.hpp"

namespace tern::wire {

enum class frame_type : uint8_t {
  ack = 12,
  ping = 13,
  reg = 14,  // REGISTER
  token = 15,
  auth = 16,
  offlinemsg = 17,
  offlinemsgend = 18,
  broadpresence = 19,
  logout = 20,
  pullmessage = 21,
  vroom = 22,
  business = 41,
  nodes = 42,
  message = 90,
  presence = 91,
  revokemessage = 92,
  burnmessage = 93,
  stream = 94,
  bigstring = 95,
  bigbinary = 96,
  bigbinarystream = 97,
};

/// Who may send a command.
enum class auth_rule : uint8_t { never, http_only, before_login, after_login };

struct command {
  frame_type type;
  std::string_view name;  // lower case; the file, the metric label, the protocol test and the flow page carry it
  auth_rule rule;
  bool json_payload;  // false: the payload is raw bytes in both encodings (ACK, PING, big data)
};

/// Every command of the protocol, in the order of its type byte.
std::span<const command> commands() noexcept;
/// nullptr for a byte that is no command.
const command* find_command(uint8_t type) noexcept;

/// A client's frame: `byte0 & 0x7f` = type, bit 0x80 = JSON.
struct inbound_frame {
  frame_type type;
  encoding enc;
  std::string_view payload;
};
/// errc::bad_format for an empty frame or an unknown type.
result<inbound_frame> parse_frame(std::string_view bytes) noexcept;

/// The 4-byte big-endian sync id of an ACK payload; nothing unless exactly 4 bytes.
std::optional<int32_t> parse_sync_id(std::string_view payload) noexcept;

/// Bytes in front of a payload to a client: the type, and with a sync id 0x80 and 4 bytes.
struct frame_head {
  std::array<char, 5> bytes{};
  size_t size = 0;
  std::string_view view() const noexcept { return {bytes.data(), size}; }
};
frame_head make_head(frame_type type) noexcept;
frame_head make_head(frame_type type, int32_t sync_id) noexcept;

}  // namespace tern::wire

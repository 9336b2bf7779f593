// Frames of type BIGSTRING, BIGBINARY and BIGBINARYSTREAM, which carry a node and raw bytes in both encodings.
// From a client: type byte, 4-byte big-endian length of the whole frame, node, separator, data; they may be split
// over several WebSocket messages. To a client: type byte, node, separator, data. No I/O; the gateway collects the
// bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "libs/base/result.hpp"
#include "libs/wire/frame.hpp"

namespace tern::wire {

/// Type byte and length.
inline constexpr size_t big_head_bytes = 5;
/// Longest node a frame may name.
inline constexpr size_t big_node_bytes = 64;

struct big_data {
  frame_type type;
  std::string_view node;  // recipient from a client; sender or virtual room to a client. Never empty
  std::string_view data;
};

/// True for the three types.
constexpr bool is_big(frame_type type) noexcept {
  return type == frame_type::bigstring || type == frame_type::bigbinary || type == frame_type::bigbinarystream;
}

/// The announced total length, from the start of a frame: nothing while fewer than big_head_bytes are there.
/// errc::big_data when it is negative, too short to hold a node and a separator, or above `max_bytes`.
result<std::optional<size_t>> big_length(std::string_view start, size_t max_bytes) noexcept;

/// The same from what follows the type byte; errc::big_data also when that is too short to say.
result<size_t> big_length_in(std::string_view payload, size_t max_bytes) noexcept;

/// What follows type and length: node, separator, data. errc::big_data for a missing separator, an empty node or one
/// longer than big_node_bytes.
result<big_data> split_big(frame_type type, std::string_view body) noexcept;

/// A complete frame from a client, type byte included. errc::big_data when its size is not the announced one, and for
/// a missing separator, an empty node or one longer than big_node_bytes.
result<big_data> parse_big(std::string_view frame) noexcept;

/// What stands between node and data towards a client, and what a client should write.
constexpr char big_separator(frame_type type) noexcept {
  return type == frame_type::bigstring ? '|' : static_cast<char>(0x83);
}

/// The separator, or for BIGSTRING a zero byte, as a JavaScript client in circulation writes it.
constexpr bool is_big_separator(frame_type type, char byte) noexcept {
  return byte == big_separator(type) || (type == frame_type::bigstring && byte == '\0');
}

/// Appends the frame towards a client.
void write_big(const big_data& big, std::string& out);

/// Appends the frame as a client sends it. errc::big_data when it would be longer than 2^31 - 1 bytes.
result<void> write_big_request(const big_data& big, std::string& out);

}  // namespace tern::wire

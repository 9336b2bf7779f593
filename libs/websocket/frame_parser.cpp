#include "libs/websocket/frame_parser.hpp"

#include <cstring>

#include "libs/websocket/utf8.hpp"

namespace tern::websocket {
namespace {

struct frame_header {
  opcode code{};
  bool fin = false;
  uint64_t length = 0;
  size_t bytes = 0;  // of the header with its mask; 0: not complete yet
};

frame_step failure(uint16_t code, std::string_view what) {
  frame_step step;
  step.event = frame_event::error;
  step.code = code;
  step.what = what;
  return step;
}

bool known(unsigned code) noexcept { return code <= 2 || (code >= 8 && code <= 10); }
bool is_control(opcode code) noexcept { return static_cast<unsigned>(code) >= 8; }

uint64_t big_endian(const unsigned char* p, size_t bytes) noexcept {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value = value << 8 | p[i];
  return value;
}

// Checks of the first two bytes. Returns why they are wrong, or nothing.
std::string_view check_start(unsigned b0, unsigned b1) noexcept {
  if ((b0 & 0x70U) != 0) return "reserved bit set";
  if (!known(b0 & 0x0FU)) return "unknown opcode";
  if ((b0 & 0x08U) != 0 && (b0 & 0x80U) == 0) return "fragmented control frame";
  if ((b1 & 0x80U) == 0) return "unmasked frame";
  if ((b0 & 0x08U) != 0 && (b1 & 0x7FU) > 125) return "long control frame";
  return {};
}

// Reads the header as far as it is there; an error text when it is wrong.
std::string_view read_header(const unsigned char* p, size_t size, frame_header& header) noexcept {
  if (size == 0) return {};
  // The first byte alone can be wrong already; 0x80 stands for an acceptable second one.
  if (const auto what = check_start(p[0], size > 1 ? p[1] : 0x80U); !what.empty()) return what;
  if (size < 2) return {};
  header.code = static_cast<opcode>(p[0] & 0x0FU);
  header.fin = (p[0] & 0x80U) != 0;
  const unsigned shortest = p[1] & 0x7FU;
  const size_t extended = shortest == 126 ? 2 : shortest == 127 ? 8 : 0;
  header.length = shortest;
  if (extended == 8 && size > 2 && (p[2] & 0x80U) != 0) return "length with the top bit set";
  if (size < 2 + extended) return {};
  if (extended > 0) header.length = big_endian(p + 2, extended);
  if (extended == 2 && header.length < 126) return "length not in its shortest form";
  if (extended == 8 && header.length < 65536) return "length not in its shortest form";
  header.bytes = 2 + extended + 4;
  return {};
}

}  // namespace

void unmask(char* data, size_t size, const unsigned char* mask) noexcept {
  uint32_t key = 0;
  std::memcpy(&key, mask, 4);
  const uint64_t wide = static_cast<uint64_t>(key) << 32 | key;
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, data + i, 8);
    word ^= wide;
    std::memcpy(data + i, &word, 8);
  }
  for (; i < size; ++i) data[i] = static_cast<char>(static_cast<unsigned char>(data[i]) ^ mask[i & 3U]);
}

bool valid_close_code(uint16_t code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

frame_step frame_parser::next(char* data, size_t size) {
  release();
  frame_header header;
  const auto* bytes = reinterpret_cast<const unsigned char*>(data);
  if (const auto what = read_header(bytes, size, header); !what.empty()) return failure(close_code::protocol, what);
  if (header.bytes == 0) return {};
  if (!is_control(header.code)) {
    // All that the header alone can show, before any payload is waited for.
    if (header.code == opcode::continuation && !in_message_) {
      return failure(close_code::protocol, "continuation without a start");
    }
    if (header.code != opcode::continuation && in_message_) {
      return failure(close_code::protocol, "new message inside a fragmented one");
    }
    const size_t have = assembled_ ? assembled_->size() : 0;
    if (header.length > limit_ || have > limit_ - header.length) {
      const bool above_all = header.length > large_limit_ || have > large_limit_ - header.length;
      const bool started = have > 0 || size > header.bytes;
      if (!above_all && are_large_ != nullptr && !started) return {};
      const auto first = have > 0 ? static_cast<uint8_t>(assembled_->front())
                                  : static_cast<uint8_t>(started ? bytes[header.bytes] ^ bytes[header.bytes - 4] : 0);
      if (above_all || !may_be_large(first)) return failure(close_code::too_big, "message too big");
    }
  }
  const auto length = static_cast<size_t>(header.length);
  if (size < header.bytes || size - header.bytes < length) return {};
  unmask(data + header.bytes, length, bytes + header.bytes - 4);
  const std::string_view payload(data + header.bytes, length);
  const size_t consumed = header.bytes + length;
  if (is_control(header.code)) return control(header.code, payload, consumed);
  return this->data(header.code, header.fin, payload, consumed);
}

frame_step frame_parser::control(opcode code, std::string_view payload, size_t consumed) const {
  frame_step step;
  step.consumed = consumed;
  step.payload = payload;
  if (code != opcode::close) {
    step.event = code == opcode::ping ? frame_event::ping : frame_event::pong;
    return step;
  }
  step.event = frame_event::close;
  step.code = close_code::none;
  if (payload.empty()) return step;
  if (payload.size() == 1) return failure(close_code::protocol, "close frame of one byte");
  step.code = static_cast<uint16_t>(big_endian(reinterpret_cast<const unsigned char*>(payload.data()), 2));
  if (!valid_close_code(step.code)) return failure(close_code::protocol, "close code not allowed");
  step.payload.remove_prefix(2);
  if (!valid_utf8(step.payload)) return failure(close_code::bad_text, "close reason is not UTF-8");
  return step;
}

frame_step frame_parser::data(opcode code, bool fin, std::string_view payload, size_t consumed) {
  if (code != opcode::continuation) {
    if (fin) return whole(code == opcode::binary, payload, consumed);
    in_message_ = true;
    binary_ = code == opcode::binary;
    empty_fragments_ = 0;
    assembled_ = std::make_unique<std::string>();
  }
  if (!fin && payload.empty() && ++empty_fragments_ > max_empty_fragments) {
    return failure(close_code::policy, "too many empty fragments");
  }
  assembled_->append(payload);
  if (fin) {
    in_message_ = false;
    return whole(binary_, *assembled_, consumed);
  }
  frame_step step;
  step.event = frame_event::fragment;
  step.consumed = consumed;
  return step;
}

frame_step frame_parser::whole(bool binary, std::string_view payload, size_t consumed) const {
  if (!binary && !valid_utf8(payload)) return failure(close_code::bad_text, "text is not UTF-8");
  frame_step step;
  step.event = frame_event::message;
  step.binary = binary;
  step.payload = payload;
  step.consumed = consumed;
  return step;
}

void append_frame(std::string& out, opcode code, std::string_view head, std::string_view payload) {
  const uint64_t length = head.size() + payload.size();
  char header[10];
  size_t bytes = 2;
  header[0] = static_cast<char>(0x80U | static_cast<unsigned>(code));
  size_t extended = 0;
  if (length < 126) {
    header[1] = static_cast<char>(length);
  } else {
    extended = length < 65536 ? 2 : 8;
    header[1] = extended == 2 ? 126 : 127;
  }
  for (size_t i = 0; i < extended; ++i) {
    header[bytes + i] = static_cast<char>(length >> (8 * (extended - 1 - i)) & 0xFFU);
  }
  bytes += extended;
  out.append(header, bytes);
  out.append(head);
  out.append(payload);
}

void append_close(std::string& out, uint16_t code, std::string_view text) {
  if (!valid_close_code(code)) {
    append_frame(out, opcode::close, {}, {});
    return;
  }
  const char head[2] = {static_cast<char>(code >> 8), static_cast<char>(code & 0xFFU)};
  if (!valid_utf8(text)) text = {};
  append_frame(out, opcode::close, {head, 2}, utf8_prefix(text, 123));
}

}  // namespace tern::websocket

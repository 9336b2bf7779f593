// Answers 5104, made once: a refusal must cost next to nothing, above all when there are many.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "libs/base/errc.hpp"
#include "libs/websocket/server.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/frame.hpp"

namespace tern::gateway {

/// Whole WebSocket messages, one per command and encoding, made when first used. Not thread-safe: one per io thread.
class overload_answers {
 public:
  const std::string& of(uint8_t type, wire::encoding enc) {
    std::string& made = answers_[enc == wire::encoding::json ? 1 : 0][type & 0x7FU];
    if (made.empty()) make(made, type, enc);
    return made;
  }

 private:
  static void make(std::string& into, uint8_t type, wire::encoding enc) {
    const errc shown = to_wire(errc::overload);
    wire::tim_ack ack;
    ack.tim_type = static_cast<int8_t>(type);
    ack.error = wire::tim_error{static_cast<int32_t>(shown), wire_text(shown)};
    std::string payload;
    wire::encode(enc, ack, payload);
    websocket::append_message(into, wire::make_head(wire::frame_type::ack).view(), payload);
  }

  std::array<std::array<std::string, 128>, 2> answers_;
};

}  // namespace tern::gateway

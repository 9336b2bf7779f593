// Decoding requests and answering them with TimAck.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "libs/wire/bounded.hpp"
#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// The fields of an ACK beside ok, timType and error.
struct ack_fields {
  std::optional<int64_t> t = {};
  std::string n = {};  // empty: left out
  std::optional<int64_t> t2 = {};
  std::string n2 = {};
};

/// What a client is told of a refusal; `shown` is one of the protocol's codes.
std::string refusal_of(wire::frame_type type, errc shown, const ack_fields& fields = {});

/// ACK ok; ends the command.
void accept(session_state& state, const origin& from, const ack_fields& fields);
/// ACK with the error a client sees for `code` (undefined for ok); ends the command.
void refuse(session_state& state, const origin& from, errc code, const ack_fields& fields);

/// Decodes a frame's payload. bad_format when it is no T, bad_parameter (counted) when a list or text is too long.
template <class T>
errc decode_request(const session_state& state, std::string_view payload, wire::arena& memory, T& out) {
  const errc code = wire::decode_bounded(wire::encoding::thrift, payload, memory, out);
  if (code == errc::bad_parameter) state.env().metrics.count(refusal::size);
  return code;
}

}  // namespace tern::session

#include "services/session/commands/answers.hpp"

namespace tern::session {
namespace {

std::string fill(wire::tim_ack& ack, wire::frame_type type, const ack_fields& fields) {
  ack.tim_type = static_cast<int8_t>(type);
  ack.t = fields.t;
  if (!fields.n.empty()) ack.n = fields.n;
  ack.t2 = fields.t2;
  if (!fields.n2.empty()) ack.n2 = fields.n2;
  return wire::encode(wire::encoding::thrift, ack);
}

}  // namespace

std::string refusal_of(wire::frame_type type, errc shown, const ack_fields& fields) {
  wire::tim_ack ack;
  ack.error = wire::tim_error{static_cast<int32_t>(shown), wire_text(shown)};
  return fill(ack, type, fields);
}

void accept(session_state& state, const origin& from, const ack_fields& fields) {
  wire::tim_ack ack;
  ack.ok = true;
  state.reply(from, wire::frame_type::ack, fill(ack, from.type, fields));
}

void refuse(session_state& state, const origin& from, errc code, const ack_fields& fields) {
  const errc shown = shown_to_client(from, code);
  state.env().metrics.count_refused(shown);
  state.reply(from, wire::frame_type::ack, refusal_of(from.type, shown, fields));
}

}  // namespace tern::session

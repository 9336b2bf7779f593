#include "services/session/commands/answers.hpp"

namespace tern::session {
namespace {

void send(session_state& state, const origin& from, wire::tim_ack& ack, const ack_fields& fields) {
  ack.tim_type = static_cast<int8_t>(from.type);
  ack.t = fields.t;
  if (!fields.n.empty()) ack.n = fields.n;
  ack.t2 = fields.t2;
  if (!fields.n2.empty()) ack.n2 = fields.n2;
  state.reply(from, wire::frame_type::ack, wire::encode(wire::encoding::thrift, ack));
}

}  // namespace

void accept(session_state& state, const origin& from, const ack_fields& fields) {
  wire::tim_ack ack;
  ack.ok = true;
  send(state, from, ack, fields);
}

void refuse(session_state& state, const origin& from, errc code, const ack_fields& fields) {
  const errc shown = shown_to_client(from, code);
  state.env().metrics.count_refused(shown);
  wire::tim_ack ack;
  ack.error = wire::tim_error{static_cast<int32_t>(shown), wire_text(shown)};
  send(state, from, ack, fields);
}

}  // namespace tern::session

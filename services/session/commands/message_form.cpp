#include "services/session/commands/message_form.hpp"

#include "libs/base/big_endian.hpp"
#include "libs/crypto/random.hpp"
#include "libs/wire/codec.hpp"
#include "libs/wire/message.hpp"

namespace tern::session {
namespace {

constexpr uint64_t id_mask = (uint64_t{1} << 53U) - 1;

/// The sender is who is logged on here, an id there always is, and whom else it goes to is nobody's business. The
/// views of fromTid live as long as the session and its terminal.
void sign(session_state& state, const origin& from, wire::tim_message& message) {
  const terminal* sender = state.find(from);
  wire::tid self;
  self.node = state.own_node();
  if (!state.domain().empty()) self.domain = state.domain();
  if (!sender->resource.empty()) self.resource = sender->resource;
  self.termtyp = static_cast<int8_t>(sender->termtyp);
  message.from_tid = self;
  if (!message.id || *message.id == 0) message.id = static_cast<int64_t>((crypto::random_u64() & id_mask) | 1U);
  message.to_list.reset();
}

}  // namespace

std::string key_of(session_state& state, const origin& from, const wire::tim_message& message) {
  const uint64_t id = message.id ? static_cast<uint64_t>(*message.id) : 0;
  if (id == 0) return state.frame_key(from);
  std::string key = "i";
  append_u64(key, id);
  return key;
}

std::string stored_form(session_state& state, const origin& from, wire::tim_message& message) {
  sign(state, from, message);
  std::string body;
  wire::encode_stored(message, body);
  return body;
}

std::string live_form(session_state& state, const origin& from, wire::tim_message& message) {
  sign(state, from, message);
  message.timestamp = state.env().time.wall_ns();
  message.mid.reset();
  message.is_offline.reset();
  std::string shown;
  shown.reserve(256 + message.data_string.value_or("").size() + message.data_binary.value_or("").size());
  wire::encode(wire::encoding::thrift, message, shown);
  return shown;
}

int64_t accepted_ns(const session_state& state, const origin& from) {
  return from.received_ns != 0 ? from.received_ns : state.env().time.wall_ns();
}

}  // namespace tern::session

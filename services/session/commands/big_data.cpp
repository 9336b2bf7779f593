#include "services/session/commands/big_data.hpp"

#include <utility>

#include "libs/wire/big_data.hpp"
#include "services/session/commands/live.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

void run(session_state& state, const origin& from, live_kind kind, std::string payload) {
  const auto big = wire::split_big(from.type, payload);
  if (!big) return reject_live(state, from, kind, errc::big_data);
  const auto other = other_account(state, big->node);
  if (!other) return reject_live(state, from, kind, other.code());
  live_message what{kind, *other, {}, {}};
  // The bytes stay where they are: the recipient's node makes room for the sender's, which is as long as a rule.
  const size_t node_bytes = big->node.size();
  payload.replace(0, node_bytes, state.own_node());
  payload[state.own_node().size()] = wire::big_separator(from.type);
  what.item.set_type(static_cast<uint32_t>(from.type));
  what.item.set_payload(std::move(payload));
  send_live(state, from, std::move(what));
}

}  // namespace

void run_bigstring(session_state& state, const origin& from, std::string payload) {
  run(state, from, live_kind::bigstring, std::move(payload));
}

void run_bigbinary(session_state& state, const origin& from, std::string payload) {
  run(state, from, live_kind::bigbinary, std::move(payload));
}

}  // namespace tern::session

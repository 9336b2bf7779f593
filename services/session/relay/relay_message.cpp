#include "services/session/relay/relay_message.hpp"

#include <utility>

#include "libs/wire/codec.hpp"
#include "services/session/commands/message_form.hpp"
#include "services/session/commands/stream_message.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

constexpr int8_t user_to_user = 2;
constexpr int8_t user_to_room = 3;
constexpr int8_t ordinary = 1;
constexpr int8_t last_of_ours = 30;  // kinds above are the application's own

errc check(const wire::tim_message& message) {
  if (message.ms_type != user_to_user && message.ms_type != user_to_room) return errc::bad_parameter;
  const int8_t kind = message.od_type;
  if (kind == 2 || kind == 3 || kind == 6 || kind == 7) return errc::bad_interface;
  if (kind != ordinary && kind != stream_od_type && kind <= last_of_ours) return errc::bad_parameter;
  return message.ms_type == user_to_room || message.room_tid ? errc::bad_interface : errc::ok;
}

void reject(session_state& state, const origin& from, errc code) {
  state.env().metrics.count(accepted::rejected);
  state.refuse(from, code);
}

}  // namespace

bool relayed(wire::frame_type type) noexcept {
  using wire::frame_type;
  return type == frame_type::message || type == frame_type::offlinemsg || type == frame_type::presence ||
         type == frame_type::broadpresence || type == frame_type::bigstring || type == frame_type::bigbinary;
}

void run_relay_message(session_state& state, const origin& from, std::string payload) {
  wire::arena memory;
  wire::tim_message message;
  if (!wire::decode_into(wire::encoding::thrift, payload, memory, message))
    return reject(state, from, errc::bad_format);
  if (const errc problem = check(message); problem != errc::ok) return reject(state, from, problem);
  if (message.od_type == stream_od_type) return run_stream_message(state, from, message);
  const auto other = other_account(state, message.to_tid ? std::optional{message.to_tid->node} : std::nullopt);
  if (!other) return reject(state, from, other.code());
  if (message.to_tid->domain && *message.to_tid->domain != state.domain())
    return reject(state, from, errc::bad_account);

  std::string shown = live_form(state, from, message);
  v1::PeerItem item;
  item.set_type(static_cast<uint32_t>(wire::frame_type::message));
  item.set_sender(state.account().value);
  item.set_payload(shown);
  item.set_domain(state.domain());
  item.set_trace(from.trace);
  item.set_accepted_ns(from.received_ns);
  state.relay(*other, std::move(item));
  state.env().metrics.count(accepted::ok);
  if (from.received_ns != 0) {
    state.env().metrics.receipt_seconds.observe(static_cast<double>(*message.timestamp - from.received_ns) / 1e9);
  }
  state.send_receipt(from, {}, 0, std::move(shown), false);
}

}  // namespace tern::session

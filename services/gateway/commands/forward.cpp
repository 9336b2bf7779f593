#include "services/gateway/commands/forward.hpp"

#include "libs/crypto/random.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/payload.hpp"

namespace tern::gateway::commands {

namespace {

using wire::frame_type;

bool is_big_data(frame_type type) noexcept {
  return type == frame_type::bigstring || type == frame_type::bigbinary || type == frame_type::bigbinarystream;
}

/// The total length a big-data frame announces (type byte and these 4 bytes included), or 0 if it cannot be right:
/// the smallest one carries a node of one byte and the separator.
uint32_t announced_bytes(std::string_view payload) noexcept {
  constexpr uint32_t least = 1 + 4 + 2;
  constexpr uint32_t most = 10U << 20U;
  if (payload.size() < 4) return 0;
  uint32_t total = 0;
  for (size_t i = 0; i < 4; ++i) total = total << 8U | static_cast<uint8_t>(payload[i]);
  return total < least || total > most || total < payload.size() + 1 ? 0 : total;
}

/// Big data is refused as a whole: the messages that follow are the rest of the frame, not frames. False: the header
/// cannot be right, and was answered.
bool skip_big_data(client& from, const wire::inbound_frame& frame) {
  const uint32_t total = announced_bytes(frame.payload);
  if (total == 0) {
    from.bad_frame(static_cast<uint8_t>(frame.type), frame.enc, errc::big_data);
    return false;
  }
  from.skip(total - static_cast<uint32_t>(frame.payload.size()) - 1);
  return true;
}

void refuse(client& from, const wire::inbound_frame& frame, errc code, outcome how, refusal why) {
  from.shared().metrics.command(static_cast<uint8_t>(frame.type), frame.enc, how);
  from.refuse(static_cast<uint8_t>(frame.type), code, why);
}

/// A random trace id for each N-th MESSAGE, 0 for the others.
uint64_t trace_id(core& shared, frame_type type) {
  if (type != frame_type::message || shared.config.trace_every == 0) return 0;
  const uint64_t count = shared.messages.fetch_add(1, std::memory_order_relaxed);
  return count % shared.config.trace_every == 0 ? crypto::random_u64() | 1U : 0;
}

}  // namespace

void switched_off(client& from, const wire::inbound_frame& frame) {
  if (is_big_data(frame.type) && !skip_big_data(from, frame)) return;
  refuse(from, frame, errc::bad_interface, outcome::refused, refusal::disabled);
}

void forward(client& from, const wire::inbound_frame& frame) {
  const auto type = static_cast<uint8_t>(frame.type);
  core& shared = from.shared();
  const wire::command* command = wire::find_command(type);
  if (command == nullptr || command->rule != wire::auth_rule::after_login) {
    from.bad_frame(type, frame.enc, errc::bad_interface);
    return;
  }
  if (is_big_data(frame.type)) {
    if (skip_big_data(from, frame)) {
      refuse(from, frame, errc::bad_interface, outcome::refused, refusal::not_offered);
    }
    return;
  }
  if (!from.where().load().admits()) {
    refuse(from, frame, errc::overload, outcome::limited, refusal::overload);
    from.cool_down();
    return;
  }
  std::string payload;
  const errc problem = read_payload(frame.type, frame.enc, frame.payload, from.where().scratch(), payload);
  if (problem != errc::ok) {
    from.bad_frame(type, frame.enc, problem);
    return;
  }
  shared.metrics.command(type, frame.enc, outcome::ok);
  const uint64_t trace = trace_id(shared, frame.type);
  if (trace != 0) log::trace(trace, "gateway", "frame");
  from.forward(type, std::move(payload), trace);
}

}  // namespace tern::gateway::commands

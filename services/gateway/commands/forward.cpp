#include "services/gateway/commands/forward.hpp"

#include "libs/crypto/random.hpp"
#include "libs/wire/big_data.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/commands/big_data.hpp"
#include "services/gateway/payload.hpp"

namespace tern::gateway::commands {

namespace {

using wire::frame_type;

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
  if (wire::is_big(frame.type) && !pass_over_big_data(from, frame)) return;
  refuse(from, frame, errc::bad_interface, outcome::refused, refusal::disabled);
}

void forward(client& from, const wire::inbound_frame& frame) {
  const bool measured = frame.type == frame_type::message && metrics::stage_sampled<metrics::stage::decode>();
  const auto began = measured ? from.shared().time.now() : clock::time_point{};
  const auto type = static_cast<uint8_t>(frame.type);
  core& shared = from.shared();
  const wire::command* command = wire::find_command(type);
  if (command == nullptr || command->rule != wire::auth_rule::after_login) {
    from.bad_frame(type, frame.enc, errc::bad_interface);
    return;
  }
  if (!from.where().load().admits()) {
    from.shed(type);
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
  if (measured) {
    shared.metrics.decode_seconds.observe(std::chrono::duration<double>(shared.time.now() - began).count());
  }
}

}  // namespace tern::gateway::commands

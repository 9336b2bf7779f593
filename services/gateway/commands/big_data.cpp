#include "services/gateway/commands/big_data.hpp"

#include <string>
#include <utility>

#include "libs/wire/big_data.hpp"
#include "services/gateway/client.hpp"
#include "services/gateway/live/push.hpp"

namespace tern::gateway::commands {

namespace {

/// No configuration allows more: a header that announces it cannot be right.
constexpr size_t most_announced = (10U << 20U) + wire::big_head_bytes + wire::big_node_bytes + 1;

using step = big_data_assembler::step;

uint8_t byte_of(const big_data_assembler& frame) noexcept { return static_cast<uint8_t>(frame.type()); }

/// Counted as a frame that makes no sense: too many close the connection.
void malformed(client& from, uint8_t type, wire::encoding enc) {
  from.shared().big_data.count(big_data_end::malformed);
  from.bad_frame(type, enc, errc::big_data);
}

/// The frame is answered; what it holds is given back.
void give_up(big_data_input& input) {
  input.frame->give_up();
  input.share.resize(input.under_way);
}

void refuse_too_large(client& from, big_data_input& input) {
  const big_data_assembler& frame = *input.frame;
  from.shared().metrics.command(byte_of(frame), frame.encoding(), outcome::refused);
  from.shared().big_data.count(big_data_end::too_large);
  from.refuse(byte_of(frame), errc::big_data, refusal::malformed);
  give_up(input);
}

void refuse_for_load(client& from, big_data_input& input) {
  const big_data_assembler& frame = *input.frame;
  from.shared().metrics.command(byte_of(frame), frame.encoding(), outcome::limited);
  from.shared().big_data.count(big_data_end::overload);
  from.refuse(byte_of(frame), errc::overload, refusal::overload);
  give_up(input);
}

void pass_on(client& from, big_data_input& input) {
  big_data_assembler frame = std::move(*input.frame);
  input.frame.reset();
  from.shared().metrics.command(byte_of(frame), frame.encoding(), outcome::ok);
  from.shared().big_data.count(big_data_end::assembled);
  if (frame.type() != wire::frame_type::bigbinarystream) {
    from.forward(byte_of(frame), frame.take_body(), 0);  // keeps its share until it is confirmed
    return;
  }
  input.share.resize(input.under_way);
  live::push_live(from, byte_of(frame), frame.node(), frame.take_body(), 0, live::no_dtype);
}

void take(client& from, big_data_input& input, std::string_view bytes) {
  big_data_assembler& frame = *input.frame;
  if (!frame.given_up() && !input.share.resize(input.under_way + frame.needed(bytes.size()))) {
    refuse_for_load(from, input);
  }
  switch (frame.take(bytes)) {
    case step::more: return;
    case step::complete: return pass_on(from, input);
    case step::passed: break;
    case step::too_large: refuse_too_large(from, input); break;
    case step::unreadable: {
      give_up(input);
      malformed(from, byte_of(frame), frame.encoding());
      break;
    }
    case step::overrun: {
      give_up(input);
      malformed(from, byte_of(frame), frame.encoding());
      input.frame.reset();
      return;
    }
  }
  if (frame.ended()) input.frame.reset();
}

/// The frame as its header announces it; null, and answered, when that cannot be right.
big_data_input* begin(client& from, const wire::inbound_frame& head, size_t most_data) {
  const auto total = wire::big_length_in(head.payload, most_announced);
  if (!total || *total < head.payload.size() + 1) {
    malformed(from, static_cast<uint8_t>(head.type), head.enc);
    return nullptr;
  }
  return &from.begin_big_data({head.type, head.enc, *total, most_data});
}

std::string_view behind_length(const wire::inbound_frame& head) {
  return head.payload.substr(wire::big_head_bytes - 1);
}

}  // namespace

void big_data(client& from, const wire::inbound_frame& frame) {
  const size_t most = from.shared().config.big_data_bytes;
  big_data_input* input = begin(from, frame, most);
  if (input == nullptr) return;
  if (!from.where().load().admits()) {
    refuse_for_load(from, *input);
    from.cool_down();
  }
  take(from, *input, behind_length(frame));
}

void more_big_data(client& from, std::string_view bytes) { take(from, *from.takes_big_data(), bytes); }

void stalled_big_data(client& from) {
  big_data_input& input = *from.takes_big_data();
  const big_data_assembler& frame = *input.frame;
  const bool told = frame.given_up();
  if (!told) {
    from.shared().metrics.command(byte_of(frame), frame.encoding(), outcome::refused);
    from.shared().big_data.count(big_data_end::stalled);
    from.refuse(byte_of(frame), errc::big_data, refusal::malformed);
  }
  give_up(input);
  input.frame.reset();
}

bool pass_over_big_data(client& from, const wire::inbound_frame& frame) {
  big_data_input* input = begin(from, frame, 0);
  if (input == nullptr) return false;
  from.shared().big_data.count(big_data_end::disabled);
  give_up(*input);
  take(from, *input, behind_length(frame));
  return true;
}

}  // namespace tern::gateway::commands

#include "services/gateway/room_frame.hpp"

#include <utility>

#include "libs/websocket/server.hpp"
#include "libs/wire/frame.hpp"
#include "services/gateway/payload.hpp"

namespace tern::gateway {

room_frame::room_frame(message_ptr message, uint32_t now_ms, bool at_once)
    : message_(std::move(message)),
      ref_{ref_kind::room, {message_->room(), 0}, message_->mid()},
      now_ms_(now_ms),
      at_once_(at_once) {}

std::string_view room_frame::payload(const form& of) const noexcept {
  return &of == &forms_[1] ? std::string_view(of.transcoded) : std::string_view(message_->payload());
}

room_frame::form& room_frame::form_of(wire::encoding enc) {
  form& found = forms_[enc == wire::encoding::json ? 1 : 0];
  if (!found.made) make(found, enc);
  return found;
}

void room_frame::make(form& made, wire::encoding enc) const {
  made.made = true;
  made.usable = enc == wire::encoding::thrift ||
                write_payload(wire::frame_type::message, message_->payload(), enc, made.transcoded) == errc::ok;
  if (!made.usable) return;
  websocket::append_message(made.websocket, wire::make_head(wire::frame_type::message, 1).view(), payload(made));
}

std::string_view room_frame::message(wire::encoding enc, int32_t sync_id) {
  form& found = form_of(enc);
  const wire::frame_head head = wire::make_head(wire::frame_type::message, sync_id);
  const size_t at = found.websocket.size() - payload(found).size() - head.size;
  found.websocket.replace(at, head.size, head.view());
  return found.websocket;
}

std::shared_ptr<const std::string> room_frame::live_message(wire::encoding enc) {
  form& found = form_of(enc);
  if (!found.shared) {
    std::string made;
    websocket::append_message(made, wire::make_head(wire::frame_type::message).view(), payload(found));
    found.shared = std::make_shared<const std::string>(std::move(made));
  }
  return found.shared;
}

outbound_frame room_frame::waiting(wire::encoding enc) {
  form& found = form_of(enc);
  if (!found.shared) found.shared = std::make_shared<const std::string>(payload(found));
  outbound_frame out;
  out.type = static_cast<uint8_t>(wire::frame_type::message);
  out.wants_ack = true;
  out.shared = found.shared;
  out.ref = ref_;
  out.trace = message_->trace();
  return out;
}

}  // namespace tern::gateway

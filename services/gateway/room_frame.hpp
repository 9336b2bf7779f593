// One message of a room on its way to many terminals of one io thread.
#pragma once

#include <tern/session/v1/session.pb.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "libs/wire/codec.hpp"
#include "services/gateway/terminal.hpp"

namespace tern::gateway {

/// Makes the WebSocket message once per encoding, when the first terminal needs it; for each terminal only the four
/// bytes of the sync id are written. Used on one io thread, for the time of one fan-out; the message itself is shared
/// with the other threads.
class room_frame {
 public:
  using message_ptr = std::shared_ptr<const session::v1::RoomOut>;

  /// `at_once`: see websocket::connection::send_made.
  room_frame(message_ptr message, uint32_t now_ms, bool at_once);

  const delivery_ref& ref() const noexcept { return ref_; }
  uint64_t room() const noexcept { return message_->room(); }
  uint64_t trace() const noexcept { return message_->trace(); }
  int64_t accepted_ns() const noexcept { return message_->accepted_ns(); }
  /// The fan-out goes on after a pause; as in the constructor.
  void set_turn(uint32_t now_ms, bool at_once) noexcept {
    now_ms_ = now_ms;
    at_once_ = at_once;
  }
  uint32_t now_ms() const noexcept { return now_ms_; }
  bool at_once() const noexcept { return at_once_; }
  /// False: the payload is not what it should be; nothing can be sent in this encoding.
  bool usable(wire::encoding enc) { return form_of(enc).usable; }
  size_t payload_bytes(wire::encoding enc) { return payload(form_of(enc)).size(); }
  /// The whole WebSocket message; valid until the next call.
  std::string_view message(wire::encoding enc, int32_t sync_id);
  /// Of the moment: no acknowledgement, no place in a window.
  bool live() const noexcept { return message_->live(); }
  /// The whole WebSocket message without a sync id, shared by all terminals.
  std::shared_ptr<const std::string> live_message(wire::encoding enc);
  /// The frame for the queue of a terminal whose window is full; all of them share the payload.
  outbound_frame waiting(wire::encoding enc);

 private:
  struct form {
    bool made = false;
    bool usable = false;
    std::string transcoded;  // JSON only
    std::string websocket;
    std::shared_ptr<const std::string> shared;
  };

  form& form_of(wire::encoding enc);
  void make(form& made, wire::encoding enc) const;
  std::string_view payload(const form& of) const noexcept;

  message_ptr message_;
  delivery_ref ref_;
  uint32_t now_ms_;
  bool at_once_;
  std::array<form, 2> forms_;
};

}  // namespace tern::gateway

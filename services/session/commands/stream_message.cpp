#include "services/session/commands/stream_message.hpp"

#include <string>
#include <utility>

#include "services/session/commands/live.hpp"
#include "services/session/commands/message_form.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

constexpr int8_t user_to_room = 3;

void to_account(session_state& state, const origin& from, wire::tim_message& message) {
  const auto reject = [&](errc code) { reject_live(state, from, live_kind::stream, code); };
  const auto other = other_account(state, message.to_tid ? std::optional{message.to_tid->node} : std::nullopt);
  if (!other) return reject(other.code());
  if (foreign(state, *message.to_tid)) return reject(errc::bad_account);
  live_message what{live_kind::stream, *other, {}, {}};
  if (message.room_tid) {
    const auto room = room_of(message.room_tid->node, errc::permission_denied);
    if (!room) return reject(room.code());
    if (foreign(state, *message.room_tid)) return reject(errc::permission_denied);
    what.room = *room;
  }
  what.item.set_type(static_cast<uint32_t>(wire::frame_type::message));
  what.item.set_payload(live_form(state, from, message));
  if (what.item.payload().size() > max_stored_bytes) return reject(errc::bad_parameter);
  send_live(state, from, std::move(what));
}

void send_to_room(session_state& state, const origin& from, room_id room, group::v1::GroupRequest request) {
  if (!state.is_member_of(room)) return reject_live(state, from, live_kind::room_stream, errc::permission_denied);
  state.ask_group(std::move(request), [from](session_state& again, group_answer& got) {
    if (got.code == errc::no_such_object || got.code == errc::not_found) got.code = errc::permission_denied;
    if (got.code != errc::ok) return reject_live(again, from, live_kind::room_stream, got.code);
    again.env().metrics.live.count_sent(live_kind::room_stream, true);
    again.finish(from);
  });
}

void to_room(session_state& state, const origin& from, wire::tim_message& message) {
  const auto reject = [&](errc code) { reject_live(state, from, live_kind::room_stream, code); };
  const auto room =
      room_of(message.room_tid ? std::optional{message.room_tid->node} : std::nullopt, errc::permission_denied);
  if (!room) return reject(room.code());
  if (foreign(state, *message.room_tid)) return reject(errc::permission_denied);
  message.to_tid.reset();
  group::v1::GroupRequest request;
  request.set_room(room->value);
  request.set_trace(from.trace);
  group::v1::RoomLive& live = *request.mutable_live();
  live.set_sender(state.account().value);
  live.set_body(live_form(state, from, message));
  live.set_accepted_ns(accepted_ns(state, from));
  if (live.body().size() > max_stored_bytes) return reject(errc::bad_parameter);
  state.with_rooms([from, room = *room, request = std::move(request)](session_state& again, errc code) mutable {
    if (code != errc::ok) return reject_live(again, from, live_kind::room_stream, code);
    if (again.find(from) == nullptr) return;  // it replays the frame over its new link, or is gone
    send_to_room(again, from, room, std::move(request));
  });
}

}  // namespace

void run_stream_message(session_state& state, const origin& from, wire::tim_message& message) {
  if (message.ms_type == user_to_room) return to_room(state, from, message);
  to_account(state, from, message);
}

}  // namespace tern::session

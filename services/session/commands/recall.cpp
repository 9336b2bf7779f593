#include "services/session/commands/recall.hpp"

#include <memory>
#include <utility>

#include "libs/wire/message.hpp"
#include "services/session/commands/answers.hpp"
#include "services/session/commands/message_form.hpp"
#include "services/session/commands/pair_turns.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

constexpr int8_t user_to_user = 2;
constexpr int8_t user_to_room = 3;
constexpr int64_t room_revoke = 3;  // `t` of the ACK for a room

storage::v1::Recall recall_of(session_state& state, const origin& from, recall_kind what,
                              const conversation_id& conversation, wire::tim_message& message) {
  storage::v1::Recall out;
  out.mutable_conversation()->set_hi(conversation.hi);
  out.mutable_conversation()->set_lo(conversation.lo);
  out.set_actor(state.account().value);
  out.set_mid(static_cast<uint64_t>(message.mid.value_or(0)));
  out.set_burn(what == recall_kind::burn);
  message.od_type = static_cast<int8_t>(what);
  out.set_body(stored_form(state, from, message));
  out.set_accepted_ns(accepted_ns(state, from));
  return out;
}

/// What clients get: the recall with the mid of the message it takes away. A repeat may have no row of its own.
std::string shown(const session_state& state, std::string_view body, int64_t target,
                  const storage::v1::Appended& done) {
  const int64_t when = done.timestamp_ns() != 0 ? done.timestamp_ns() : state.env().time.wall_ns();
  std::string payload;
  const auto composed = wire::compose_message(body, target, when, std::nullopt, payload);
  return composed ? payload : std::string{};
}

void ask_storage(session_state& state, const origin& from, const storage::v1::Recall& what) {
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  *request.mutable_recall() = what;
  const conversation_id conversation{what.conversation().hi(), what.conversation().lo()};
  state.ask(slot_of(conversation), std::move(request), patience::deadline,
            [from, conversation](session_state& again, storage_answer& got) {
              if (got.code == errc::not_found) got.code = errc::bad_parameter;
              if (got.code != errc::ok) return again.refuse(from, got.code);
              const auto& asked = got.request.recall();
              const auto& done = got.reply.appended();
              std::string payload = shown(again, asked.body(), static_cast<int64_t>(asked.mid()), done);
              if (payload.empty()) return again.refuse(from, errc::internal);
              const uint64_t mid = done.mid() != 0 ? done.mid() : asked.mid();
              again.send_receipt(from, conversation, mid, std::move(payload), done.duplicate());
            });
}

}  // namespace

void recall_from_account(session_state& state, const origin& from, recall_kind what, wire::tim_message& message) {
  const auto other = other_account(state, message.to_tid->node);
  if (!other) return state.refuse(from, other.code());
  if (foreign(state, *message.to_tid)) return state.refuse(from, errc::bad_account);
  message.ms_type = user_to_user;
  const auto recall =
      std::make_shared<storage::v1::Recall>(recall_of(state, from, what, state.conversation_with(*other), message));
  if (recall->body().size() > max_stored_bytes) return state.refuse(from, errc::bad_parameter);
  in_turn(state, *other, [from, recall](session_state& again) { ask_storage(again, from, *recall); });
}

void recall_from_room(session_state& state, const origin& from, wire::tim_message& message) {
  const ack_fields fields{.t = room_revoke, .n = std::string(message.room_tid->node), .t2 = message.mid};
  const auto room = room_of(message.room_tid->node, errc::permission_denied);
  if (!room) return refuse(state, from, room.code(), fields);
  if (foreign(state, *message.room_tid)) return refuse(state, from, errc::permission_denied, fields);
  message.ms_type = user_to_room;
  group::v1::GroupRequest request;
  request.set_trace(from.trace);
  request.set_room(room->value);
  storage::v1::Recall& recall = *request.mutable_recall();
  recall = recall_of(state, from, recall_kind::revoke, {room->value, 0}, message);
  if (recall.body().size() > max_stored_bytes) return refuse(state, from, errc::bad_parameter, fields);
  auto body = std::make_shared<const std::string>(recall.body());
  state.ask_group(std::move(request), [from, room = *room, body, fields](session_state& again, group_answer& got) {
    if (got.code == errc::no_such_object || got.code == errc::not_found) got.code = errc::permission_denied;
    if (got.code != errc::ok) return refuse(again, from, got.code, fields);
    const auto& done = got.answer.appended();
    std::string payload = shown(again, *body, *fields.t2, done);
    if (payload.empty()) return refuse(again, from, errc::internal, fields);
    accept(again, from, fields);
    again.send_room_receipt(from, room, done, std::move(payload));
  });
}

}  // namespace tern::session

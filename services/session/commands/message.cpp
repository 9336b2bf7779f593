#include "services/session/commands/message.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "libs/wire/codec.hpp"
#include "libs/wire/message.hpp"
#include "services/session/commands/answers.hpp"
#include "services/session/commands/message_form.hpp"
#include "services/session/commands/pair_turns.hpp"
#include "services/session/commands/stream_message.hpp"
#include "services/session/contact.hpp"
#include "services/session/relay/relay_message.hpp"

namespace tern::session {
namespace {

constexpr int8_t user_to_user = 2;
constexpr int8_t user_to_room = 3;
constexpr int8_t ordinary = 1;
constexpr int8_t last_reserved = 30;  // kinds above are the application's own: delivered, not in the history

/// A message to an account on its way to storage; room 0: friends, else both must be members of the room.
struct outgoing {
  account_id other;
  room_id room;
  storage::v1::StorageRequest request;
};
using outgoing_ptr = std::shared_ptr<outgoing>;

/// Kinds of messages this protocol knows and this server does not offer (yet); anything else is a bad parameter.
bool known_kind(int8_t od_type) { return od_type == 2 || od_type == 3 || od_type == 6 || od_type == 7; }

errc check(const wire::tim_message& message) {
  if (message.ms_type != user_to_user && message.ms_type != user_to_room) return errc::bad_parameter;
  const bool stored = message.od_type == ordinary || message.od_type > last_reserved;
  if (stored || message.od_type == stream_od_type) return errc::ok;
  return known_kind(message.od_type) ? errc::bad_interface : errc::bad_parameter;
}

void reject(session_state& state, const origin& from, errc code) {
  const bool throttled = code == errc::overload || code == errc::rate_limited;
  state.env().metrics.count(throttled ? accepted::throttled : accepted::rejected);
  state.refuse(from, code);
}

/// Counts what was stored; false (and the sender is told) when it cannot be shown.
bool receipt_of(session_state& state, const origin& from, std::string_view body, const storage::v1::Appended& done,
                std::string& payload) {
  const auto composed =
      wire::compose_message(body, static_cast<int64_t>(done.mid()), done.timestamp_ns(), std::nullopt, payload);
  if (!composed) {
    reject(state, from, errc::internal);
    return false;
  }
  state.env().metrics.count(done.duplicate() ? accepted::duplicate : accepted::ok);
  if (from.received_ns != 0) {
    state.env().metrics.receipt_seconds.observe(static_cast<double>(state.env().time.wall_ns() - from.received_ns) /
                                                1e9);
  }
  log::trace(from.trace, "session", "receipt", {{"duplicate", done.duplicate()}});
  return true;
}

void stored(session_state& state, const origin& from, storage_answer& got) {
  const auto& append = got.request.append();
  if (got.code == errc::permission_denied) {
    // No relation, or nobody there to have one with: the client is told which.
    check_account(state, account_id{append.recipient()}, [from](session_state& again, errc found) {
      reject(again, from, found == errc::ok ? errc::permission_denied : found);
    });
    return;
  }
  if (got.code != errc::ok) return reject(state, from, got.code);
  const auto& done = got.reply.appended();
  std::string payload;
  if (!receipt_of(state, from, append.body(), done, payload)) return;
  state.send_receipt(from, {append.conversation().hi(), append.conversation().lo()}, done.mid(), std::move(payload),
                     done.duplicate());
}

bool same_frame(const origin& one, const origin& other) {
  return one.connection == other.connection && one.seq == other.seq;
}

/// The frame's append is on its way already, for a binding before this one. Asked again it could be done behind a
/// later frame's append, should the first one end by its deadline before storage comes back.
bool joined(session_state& state, const origin& from) {
  for (auto& each : state.appends()) {
    if (!same_frame(each.front(), from)) continue;
    each.push_back(from);
    return true;
  }
  return false;
}

/// Whom the answer is for.
std::vector<origin> take_append(session_state& state, const origin& from) {
  auto& all = state.appends();
  const auto at =
      std::find_if(all.begin(), all.end(), [&](const auto& each) { return same_frame(each.front(), from); });
  if (at == all.end()) return {from};
  auto out = std::move(*at);
  all.erase(at);
  state.trim_appends();
  return out;
}

void append(session_state& state, const origin& from, storage::v1::StorageRequest request) {
  if (from.again && joined(state, from)) return;
  if (from.taken_ns != 0) {
    state.env().metrics.authorize_seconds.observe(static_cast<double>(state.env().time.wall_ns() - from.taken_ns) /
                                                  1e9);
  }
  state.appends().push_back({from});
  const slot_type slot = slot_of(conversation_id{request.append().conversation().hi(), 0});
  state.ask(slot, std::move(request), patience::deadline, [from](session_state& again, storage_answer& got) {
    bool first = true;
    for (const origin& each : take_append(again, from)) {
      if (!std::exchange(first, false) && got.code == errc::ok) got.reply.mutable_appended()->set_duplicate(true);
      stored(again, each, got);
    }
  });
}

/// Asks whether both are members; until that is known, nothing else is appended for the pair.
void append_if_permitted(session_state& state, const origin& from, const outgoing_ptr& what) {
  hold_turn(state, what->other);
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::RoomPermit& permit = *request.mutable_room_permit();
  permit.set_room(what->room.value);
  permit.set_one(state.account().value);
  permit.set_other(what->other.value);
  permit.set_domain(state.domain());
  state.ask(slot_of(what->room), std::move(request), patience::deadline,
            [from, what](session_state& again, storage_answer& got) {
              if (got.code == errc::ok) {
                append(again, from, std::move(what->request));
              } else {
                const bool nowhere = got.code == errc::no_such_object || got.code == errc::not_found;
                reject(again, from, nowhere ? errc::permission_denied : got.code);
              }
              release_turn(again, what->other);
            });
}

void send_now(session_state& state, const origin& from, const outgoing_ptr& what) {
  if (what->room) return append_if_permitted(state, from, what);
  append(state, from, std::move(what->request));
}

/// With open messaging somebody must look whether the recipient exists; friends and members do.
void send_checked(session_state& state, const origin& from, const outgoing_ptr& what) {
  check_account(state, what->other, [from, what](session_state& again, errc found) {
    if (found != errc::ok) return reject(again, from, found);
    in_turn(again, what->other, [from, what](session_state& later) { send_now(later, from, what); });
  });
}

void to_account(session_state& state, const origin& from, wire::tim_message& message) {
  const auto other = other_account(state, message.to_tid ? std::optional{message.to_tid->node} : std::nullopt);
  if (!other) return reject(state, from, other.code());
  if (foreign(state, *message.to_tid)) return reject(state, from, errc::bad_account);
  room_id room;
  if (message.room_tid) {
    const auto found = room_of(message.room_tid->node, errc::permission_denied);
    if (!found) return reject(state, from, found.code());
    if (foreign(state, *message.room_tid)) return reject(state, from, errc::permission_denied);
    room = *found;
  }
  const bool open = state.env().config.open_messaging;
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::Append& what = *request.mutable_append();
  const conversation_id conversation = state.conversation_with(*other);
  what.mutable_conversation()->set_hi(conversation.hi);
  what.mutable_conversation()->set_lo(conversation.lo);
  what.set_sender(state.account().value);
  what.set_recipient(other->value);
  what.set_key(key_of(state, from, message));
  what.set_unlisted(message.od_type > last_reserved);
  what.set_body(stored_form(state, from, message));
  what.set_open(open || room);
  what.set_accepted_ns(accepted_ns(state, from));
  if (what.body().size() > max_stored_bytes) return reject(state, from, errc::bad_parameter);
  if (!open && !room && !turn_taken(state, *other)) return append(state, from, std::move(request));
  const auto kept = std::make_shared<outgoing>(outgoing{*other, room, std::move(request)});
  in_turn(state, *other, [from, kept, open](session_state& again) {
    open ? send_checked(again, from, kept) : send_now(again, from, kept);
  });
}

void to_room(session_state& state, const origin& from, wire::tim_message& message) {
  const auto room =
      room_of(message.room_tid ? std::optional{message.room_tid->node} : std::nullopt, errc::permission_denied);
  if (!room) return reject(state, from, room.code());
  if (foreign(state, *message.room_tid)) return reject(state, from, errc::permission_denied);
  message.to_tid.reset();
  group::v1::GroupRequest request;
  request.set_trace(from.trace);
  request.set_room(room->value);
  storage::v1::RoomAppend& what = *request.mutable_append();
  what.set_room(room->value);
  what.set_sender(state.account().value);
  what.set_key(key_of(state, from, message));
  what.set_unlisted(message.od_type > last_reserved);
  what.set_body(stored_form(state, from, message));
  what.set_accepted_ns(accepted_ns(state, from));
  if (what.body().size() > max_stored_bytes) return reject(state, from, errc::bad_parameter);
  auto body = std::make_shared<const std::string>(what.body());
  state.ask_group(std::move(request), [from, room = *room, body](session_state& again, group_answer& got) {
    if (got.code == errc::no_such_object || got.code == errc::not_found) got.code = errc::permission_denied;
    if (got.code != errc::ok) return reject(again, from, got.code);
    const auto& done = got.answer.appended();
    std::string payload;
    if (!receipt_of(again, from, *body, done, payload)) return;
    again.send_room_receipt(from, room, done, std::move(payload));
  });
}

}  // namespace

void run_message(session_state& state, const origin& from, std::string payload) {
  if (state.env().relay != nullptr) return run_relay_message(state, from, std::move(payload));
  wire::arena memory;
  wire::tim_message message;
  errc problem = decode_request(state, payload, memory, message);
  if (problem == errc::ok) problem = check(message);
  if (problem != errc::ok) return reject(state, from, problem);
  if (message.od_type == stream_od_type) return run_stream_message(state, from, message);
  if (message.ms_type == user_to_room) return to_room(state, from, message);
  to_account(state, from, message);
}

}  // namespace tern::session

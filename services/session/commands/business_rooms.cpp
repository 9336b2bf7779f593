#include "services/session/commands/business_rooms.hpp"

#include <memory>
#include <utility>

#include "libs/base/big_endian.hpp"
#include "libs/crypto/hash.hpp"
#include "libs/crypto/identity.hpp"
#include "services/session/commands/answers.hpp"
#include "services/session/commands/business.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

using storage::v1::RoomChange;

constexpr unsigned id_probes = 4;

/// The same for the same frame, so that a replay finds the room it has made; nobody without the key can tell it
/// before.
room_id new_room_id(const session_state& state, std::string_view frame_key, unsigned probe) {
  std::string text = "room" + to_node(state.account());
  text += frame_key;
  text.push_back(static_cast<char>(probe));
  const std::string hash = crypto::hmac_sha256(state.env().config.identity_key, text);
  const uint64_t id = read_u64(hash.data());
  return room_id{id == 0 ? 1 : id};
}

/// The account's own row, before the answer: what is asked next finds it out of the room. That the row has
/// this version also when nothing changed does no harm.
void put_own_row(session_state& state, const origin& from, room_id room, uint64_t version, uint32_t bits,
                 ack_fields fields) {
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::AccountRoomPut& put = *request.mutable_account_room_put();
  put.set_account(state.account().value);
  put.set_room(room.value);
  put.set_version(version);
  put.set_bits(bits);
  state.ask(slot_of(state.account()), std::move(request), patience::deadline,
            [from, room, version, bits, fields = std::move(fields)](session_state& again, storage_answer& stored) {
              if (stored.code != errc::ok) return refuse(again, from, stored.code, fields);
              again.note_own_row(room, version, bits);
              accept(again, from, fields);
            });
}

void try_create(session_state& state, const origin& from, const std::shared_ptr<storage::v1::RoomCreate>& what,
                unsigned probe) {
  const room_id room = new_room_id(state, what->key(), probe);
  group::v1::GroupRequest request;
  request.set_trace(from.trace);
  request.set_room(room.value);
  *request.mutable_create() = *what;
  request.mutable_create()->set_room(room.value);
  state.ask_group(std::move(request), [from, what, room, probe](session_state& again, group_answer& got) {
    if (got.code == errc::exists && probe + 1 < id_probes) return try_create(again, from, what, probe + 1);
    // Four random ids in use: nothing the client has done.
    if (got.code == errc::exists) return refuse(again, from, errc::undefined, {.t = new_room});
    if (got.code != errc::ok) return refuse(again, from, got.code, {.t = new_room});
    again.await_room(room, got.answer.changed().version(), [from, room](session_state& later) {
      accept(later, from, {.t = new_room, .n = to_node(room)});
    });
  });
}

RoomChange::Change change_of(int32_t what) {
  switch (what) {
    case refuse_applicant: return RoomChange::REFUSE;
    case pull_in: return RoomChange::PULL_IN;
    case kick: return RoomChange::KICK;
    case block_room: return RoomChange::BLOCK;
    case bar_member: return RoomChange::BAR;
    case leave_room: return RoomChange::LEAVE;
    case cancel_room: return RoomChange::CANCEL;
    default: return RoomChange::APPLY;
  }
}

bool has_target(int32_t what) {
  return what == refuse_applicant || what == pull_in || what == kick || what == bar_member;
}

/// A target that need not be a member must at least exist.
bool may_be_stranger(int32_t what) { return what == pull_in || what == bar_member; }

/// For a node that is nobody's: it cannot be a member, nor have applied.
errc unreadable_target(int32_t what) {
  if (may_be_stranger(what)) return errc::bad_account;
  return what == refuse_applicant ? errc::expired : errc::bad_parameter;
}

/// The account named by node2; it may be the caller's own.
result<account_id> target_of(int32_t what, const wire::tim_req& req) {
  if (!req.node2 || req.node2->empty()) return errc::bad_parameter;
  const auto target = account_from_node(*req.node2);
  if (!target) return unreadable_target(what);
  return *target;
}

/// The answer's n and n2 where the protocol has them.
ack_fields fields_of(int32_t what, const wire::tim_req& req) {
  ack_fields out{.t = what};
  if (what == pull_in || what == bar_member) {
    out.n = std::string(req.node.value_or(""));
    out.n2 = std::string(req.node2.value_or(""));
  }
  return out;
}

void changed(session_state& state, const origin& from, int32_t what, room_id room, const ack_fields& fields,
             group_answer& got) {
  if (got.code == errc::not_found) got.code = errc::no_such_object;
  if (got.code != errc::ok) return refuse(state, from, got.code, fields);
  const uint64_t version = got.answer.changed().version();
  switch (what) {
    case join_room:  // joined: the notice says so; applied: a manager's decision will
      if (!got.answer.changed().joined()) return state.finish(from);
      return state.await_room(room, version, [from](session_state& again) { again.finish(from); });
    case block_room: return put_own_row(state, from, room, version, storage::v1::ROOM_REFUSES, fields);
    case leave_room:
    case cancel_room: return put_own_row(state, from, room, version, storage::v1::ROOM_NONE, fields);
    default: return accept(state, from, fields);
  }
}

void send_change(session_state& state, const origin& from, int32_t what, group::v1::GroupRequest request,
                 ack_fields fields) {
  const room_id room{request.room()};
  state.ask_group(std::move(request),
                  [from, what, room, fields = std::move(fields)](session_state& again, group_answer& got) {
                    changed(again, from, what, room, fields, got);
                  });
}

/// The target is nobody: that counts only in a room that is there.
void refuse_unknown_target(session_state& state, const origin& from, room_id room, const ack_fields& fields) {
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  request.mutable_room_get()->set_room(room.value);
  request.mutable_room_get()->set_domain(state.domain());
  state.ask(slot_of(room), std::move(request), patience::deadline,
            [from, fields](session_state& again, storage_answer& got) {
              errc code = got.code == errc::not_found ? errc::no_such_object : got.code;
              if (code == errc::ok) code = got.reply.room().cancelled() ? errc::cancelled_object : errc::bad_account;
              refuse(again, from, code, fields);
            });
}

}  // namespace

void create_room(session_state& state, const origin& from, const wire::tim_req& req) {
  const std::string_view name = req.node.value_or("");
  const int64_t kind = req.req_int.value_or(0);
  const bool known = kind == storage::v1::ROOM_PRIVATE || kind == storage::v1::ROOM_OPEN;
  if (!known || !crypto::valid_name(name)) return refuse(state, from, errc::bad_parameter, {.t = new_room});
  auto what = std::make_shared<storage::v1::RoomCreate>();
  what->set_founder(state.account().value);
  what->set_domain(state.domain());
  what->set_kind(static_cast<storage::v1::RoomKind>(kind));
  what->set_name(std::string(name));
  what->set_key(state.frame_key(from));
  try_create(state, from, what, 0);
}

void change_room(session_state& state, const origin& from, int32_t what, const wire::tim_req& req) {
  ack_fields fields = fields_of(what, req);
  const auto room = room_of(req.node, errc::no_such_object);
  if (!room) return refuse(state, from, room.code(), fields);
  group::v1::GroupRequest request;
  request.set_trace(from.trace);
  request.set_room(room->value);
  RoomChange& change = *request.mutable_change();
  change.set_room(room->value);
  change.set_actor(state.account().value);
  change.set_domain(state.domain());
  change.set_change(change_of(what));
  change.set_text(std::string(req.req_str.value_or("")));
  if (!has_target(what)) return send_change(state, from, what, std::move(request), std::move(fields));
  const auto target = target_of(what, req);
  if (!target) return refuse(state, from, target.code(), fields);
  change.set_target(target->value);
  if (!may_be_stranger(what)) return send_change(state, from, what, std::move(request), std::move(fields));
  auto kept = std::make_shared<group::v1::GroupRequest>(std::move(request));
  check_account(state, *target, [from, what, kept, fields](session_state& again, errc found) {
    if (found == errc::bad_account) return refuse_unknown_target(again, from, room_id{kept->room()}, fields);
    if (found != errc::ok) return refuse(again, from, found, fields);
    send_change(again, from, what, std::move(*kept), fields);
  });
}

}  // namespace tern::session

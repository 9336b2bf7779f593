#include "services/session/commands/nodes_change.hpp"

#include <utility>

#include "services/session/commands/answers.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

constexpr size_t max_bean_bytes = 16 << 10;

}  // namespace

void change_user(session_state& state, const origin& from, wire::tim_nodes& req) {
  const ack_fields fields{.t = req.ntype};
  if (!req.usermap || req.usermap->size() != 1) return refuse(state, from, errc::bad_parameter, fields);
  wire::tim_user_bean& bean = req.usermap->front().second;
  bean.createtime.reset();  // the server's
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::ProfilePut& put = *request.mutable_profile_put();
  put.set_account(state.account().value);
  put.set_bean(wire::encode(wire::encoding::thrift, bean));
  if (put.bean().size() > max_bean_bytes) {
    state.env().metrics.count(refusal::size);
    return refuse(state, from, errc::bad_parameter, fields);
  }
  state.ask(slot_of(state.account()), std::move(request), patience::deadline,
            [from, fields](session_state& again, storage_answer& got) {
              if (got.code != errc::ok) return refuse(again, from, got.code, fields);
              accept(again, from, fields);
            });
}

void change_room_profile(session_state& state, const origin& from, wire::tim_nodes& req) {
  const ack_fields fields{.t = req.ntype};
  if (!req.roommap || req.roommap->size() != 1) return refuse(state, from, errc::bad_parameter, fields);
  auto& [node, bean] = req.roommap->front();
  const auto room = room_of(node, errc::no_such_object);
  if (!room) return refuse(state, from, room.code(), fields);
  bean.founder.reset();  // what a room is does not change
  bean.gtype.reset();
  bean.createtime.reset();
  group::v1::GroupRequest request;
  request.set_trace(from.trace);
  request.set_room(room->value);
  storage::v1::RoomChange& change = *request.mutable_change();
  change.set_room(room->value);
  change.set_actor(state.account().value);
  change.set_domain(state.domain());
  change.set_change(storage::v1::RoomChange::PROFILE);
  change.set_bean(wire::encode(wire::encoding::thrift, bean));
  if (change.bean().size() > max_bean_bytes) {
    state.env().metrics.count(refusal::size);
    return refuse(state, from, errc::bad_parameter, fields);
  }
  state.ask_group(std::move(request), [from, fields](session_state& again, group_answer& got) {
    if (got.code == errc::not_found) got.code = errc::no_such_object;
    if (got.code != errc::ok) return refuse(again, from, got.code, fields);
    accept(again, from, fields);
  });
}

}  // namespace tern::session

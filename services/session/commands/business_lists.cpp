#include "services/session/commands/business_lists.hpp"

#include <utility>

#include "libs/wire/codec.hpp"
#include "services/session/commands/business.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

/// TimNodes.ntype of the answer.
int32_t ntype_of(int32_t what) {
  switch (what) {
    case list_rooms: return 2;
    case list_members: return 3;
    case list_blocked: return 8;
    case list_refused_rooms: return 9;
    case list_barred: return 10;
    default: return 1;
  }
}

/// Nothing is sent when the list is empty.
void answer_nodes(session_state& state, const origin& from, int32_t what, const std::vector<std::string>& names,
                  const std::string& node = {}) {
  if (names.empty()) return state.finish(from);
  wire::tim_nodes nodes;
  nodes.ntype = ntype_of(what);
  nodes.nodelist.emplace(names.begin(), names.end());
  if (!node.empty()) nodes.node = node;
  state.reply(from, wire::frame_type::nodes, wire::encode(wire::encoding::thrift, nodes));
}

bool listed(const storage::v1::RosterRow& row, int32_t what) {
  const bool blocked = (row.mine() & v1::RELATION_BLOCKS) != 0;
  return what == list_blocked ? blocked : !blocked && (row.mine() & v1::RELATION_FRIEND) != 0;
}

/// What the client sees when a room's list is not for it.
errc list_error(int32_t what, errc code) {
  if (code == errc::no_such_object || code == errc::not_found) return errc::bad_account;
  if (code == errc::permission_denied && what == list_members) return errc::bad_parameter;
  return code;
}

}  // namespace

void list_relations(session_state& state, const origin& from, int32_t what) {
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  request.mutable_roster_list()->set_account(state.account().value);
  state.ask(slot_of(state.account()), std::move(request), patience::deadline,
            [from, what](session_state& again, storage_answer& got) {
              if (got.code != errc::ok) return again.refuse(from, got.code);
              std::vector<std::string> names;
              for (const auto& row : got.reply.roster().rows()) {
                if (listed(row, what)) names.push_back(to_node(account_id{row.other()}));
              }
              answer_nodes(again, from, what, names);
            });
}

void list_own_rooms(session_state& state, const origin& from, int32_t what) {
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  request.mutable_account_rooms()->set_account(state.account().value);
  const auto wanted =
      static_cast<uint32_t>(what == list_rooms ? storage::v1::ROOM_MEMBER : storage::v1::ROOM_REFUSES);
  state.ask(slot_of(state.account()), std::move(request), patience::deadline,
            [from, what, wanted](session_state& again, storage_answer& got) {
              if (got.code != errc::ok) return again.refuse(from, got.code);
              std::vector<std::string> names;
              for (const auto& row : got.reply.account_rooms().rows()) {
                if ((row.bits() & wanted) != 0) names.push_back(to_node(room_id{row.room()}));
              }
              answer_nodes(again, from, what, names);
            });
}

void list_room(session_state& state, const origin& from, int32_t what, const wire::tim_req& req) {
  const auto room = room_of(req.node, errc::bad_account);
  if (!room) return state.refuse(from, room.code());
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::RoomMembers& members = *request.mutable_room_members();
  members.set_room(room->value);
  members.set_reader(state.account().value);
  members.set_domain(state.domain());
  members.set_barred(what == list_barred);
  members.set_limit(static_cast<uint32_t>(state.env().config.room_list_members));
  state.ask(slot_of(*room), std::move(request), patience::deadline,
            [from, what](session_state& again, storage_answer& got) {
              if (got.code != errc::ok) return again.refuse(from, list_error(what, got.code));
              std::vector<std::string> names;
              for (const uint64_t one : got.reply.room_members().accounts())
                names.push_back(to_node(account_id{one}));
              answer_nodes(again, from, what, names, to_node(room_id{got.request.room_members().room()}));
            });
}

}  // namespace tern::session

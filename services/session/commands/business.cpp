#include "services/session/commands/business.hpp"

#include <utility>

#include "libs/crypto/random.hpp"
#include "libs/wire/codec.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

using storage::v1::Relate;

/// rtype values; those of rooms are executed by the room's owner.
enum rtype : int32_t {
  list_roster = 1,
  add_friend = 4,
  remove_friend = 6,
  block_user = 7,
  new_room = 8,
  list_blocked = 18,
  change_password = 21,
};
constexpr int32_t nodes_roster = 1;
constexpr int32_t nodes_blocked = 8;

bool listed(const storage::v1::RosterRow& row, int32_t what) {
  const bool blocked = (row.mine() & v1::RELATION_BLOCKS) != 0;
  return what == list_blocked ? blocked : !blocked && (row.mine() & v1::RELATION_FRIEND) != 0;
}

void answer_list(session_state& state, const origin& from, int32_t what, storage_answer& got) {
  if (got.code != errc::ok) return state.refuse(from, got.code);
  std::vector<std::string> names;
  for (const auto& row : got.reply.roster().rows()) {
    if (listed(row, what)) names.push_back(to_node(account_id{row.other()}));
  }
  if (names.empty()) return state.finish(from);
  wire::tim_nodes nodes;
  nodes.ntype = what == list_blocked ? nodes_blocked : nodes_roster;
  nodes.nodelist.emplace(names.begin(), names.end());
  state.reply(from, wire::frame_type::nodes, wire::encode(wire::encoding::thrift, nodes));
}

void list(session_state& state, const origin& from, int32_t what) {
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  request.mutable_roster_list()->set_account(state.account().value);
  state.ask(slot_of(state.account()), std::move(request), patience::deadline,
            [from, what](session_state& again, storage_answer& got) { answer_list(again, from, what, got); });
}

void answer_changed(session_state& state, const origin& from, int32_t what, account_id other) {
  if (what == add_friend) return state.finish(from);  // the notice to the other side is the answer
  const std::string node = to_node(other);
  wire::tim_ack ack;
  ack.ok = true;
  ack.tim_type = static_cast<int8_t>(wire::frame_type::business);
  ack.n = node;
  ack.t = what;
  state.reply(from, wire::frame_type::ack, wire::encode(wire::encoding::thrift, ack));
}

/// The caller's own roster row is written before the answer, so that a list asked for next shows the change.
void changed(session_state& state, const origin& from, int32_t what, storage_answer& got) {
  if (got.code != errc::ok) return state.refuse(from, got.code);
  const account_id other{got.request.relate().other()};
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::RosterPut& put = *request.mutable_roster_put();
  put.set_account(state.account().value);
  put.set_other(other.value);
  put.set_version(got.reply.related().version());
  put.set_mine(got.reply.related().mine());
  put.set_theirs(got.reply.related().theirs());
  *put.mutable_conversation() = got.request.relate().conversation();
  state.ask(slot_of(state.account()), std::move(request), patience::deadline,
            [from, what, other](session_state& again, storage_answer& stored) {
              if (stored.code != errc::ok) return again.refuse(from, stored.code);
              answer_changed(again, from, what, other);
            });
}

void relate(session_state& state, const origin& from, int32_t what, const wire::tim_req& req) {
  const auto other = other_account(state, req.node);
  if (!other) return state.refuse(from, other.code());
  auto request = std::make_shared<storage::v1::StorageRequest>();
  request->set_trace(from.trace);
  Relate& change = *request->mutable_relate();
  const conversation_id conversation = state.conversation_with(*other);
  change.mutable_conversation()->set_hi(conversation.hi);
  change.mutable_conversation()->set_lo(conversation.lo);
  change.set_actor(state.account().value);
  change.set_other(other->value);
  change.set_change(what == add_friend ? Relate::ADD : what == remove_friend ? Relate::REMOVE : Relate::BLOCK);
  change.set_text(std::string(req.req_str.value_or("")));
  change.set_domain(state.domain());
  check_account(state, *other, [from, what, request, conversation](session_state& again, errc found) {
    if (found != errc::ok) return again.refuse(from, found);
    again.ask(slot_of(conversation), std::move(*request), patience::deadline,
              [from, what](session_state& later, storage_answer& got) { changed(later, from, what, got); });
  });
}

}  // namespace

void run_business(session_state& state, const origin& from, std::string payload) {
  wire::arena memory;
  const auto req = wire::decode<wire::tim_req>(wire::encoding::thrift, payload, memory);
  if (!req) return state.refuse(from, errc::bad_format);
  if (!req->rtype) return state.refuse(from, errc::bad_parameter);
  const int32_t what = *req->rtype;
  if (what == list_roster || what == list_blocked) return list(state, from, what);
  if (what == add_friend || what == remove_friend || what == block_user) return relate(state, from, what, *req);
  state.refuse(from, errc::bad_interface);
}

}  // namespace tern::session

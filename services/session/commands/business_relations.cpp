#include "services/session/commands/business_relations.hpp"

#include <memory>
#include <utility>

#include "services/session/commands/answers.hpp"
#include "services/session/commands/business.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

using storage::v1::Relate;

void answer_changed(session_state& state, const origin& from, int32_t what, account_id other) {
  if (what == add_friend) return state.finish(from);  // the notice to the other side is the answer
  accept(state, from, {.t = what, .n = to_node(other)});
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
  state.note_relation({other, put.version(), put.mine(), put.theirs()});
  state.ask(slot_of(state.account()), std::move(request), patience::deadline,
            [from, what, other](session_state& again, storage_answer& stored) {
              if (stored.code != errc::ok) return again.refuse(from, stored.code);
              answer_changed(again, from, what, other);
            });
}

}  // namespace

void change_relation(session_state& state, const origin& from, int32_t what, const wire::tim_req& req) {
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

}  // namespace tern::session

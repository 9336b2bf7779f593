#include "services/session/commands/live.hpp"

#include <memory>
#include <utility>

#include "services/session/commands/pair_turns.hpp"
#include "services/session/contact.hpp"

namespace tern::session {
namespace {

using message_ptr = std::shared_ptr<live_message>;

void pass_on(session_state& state, const origin& from, live_message& what) {
  v1::PeerItem& item = what.item;
  item.set_sender(state.account().value);
  item.set_domain(state.domain());
  item.set_trace(from.trace);
  item.set_accepted_ns(from.received_ns);
  item.set_live(true);
  state.relay(what.other, std::move(item));
  state.env().metrics.live.count_sent(what.kind, true);
}

/// The message has its verdict: what waits for its turn may go on.
void end(session_state& state, const origin& from, const message_ptr& what, errc code) {
  const account_id other = what->other;
  if (state.find(from) != nullptr) {  // else it replays the frame over its new link, or is gone
    if (code == errc::ok) {
      pass_on(state, from, *what);
      state.finish(from);
    } else {
      reject_live(state, from, what->kind, code);
    }
  }
  release_turn(state, other);
}

/// Friends are known to exist; of others somebody must look.
void judge(session_state& state, const origin& from, const message_ptr& what) {
  const bool open = state.env().config.open_messaging || what->room;
  const errc verdict = state.roster().may_write(what->other, open);
  const bool known = what->room || state.roster().reaches(what->other);
  if ((verdict != errc::ok && verdict != errc::permission_denied) || (verdict == errc::ok && known)) {
    return end(state, from, what, verdict);
  }
  check_account(state, what->other, [from, what, verdict](session_state& again, errc found) {
    end(again, from, what, found == errc::ok ? verdict : found);
  });
}

void with_relation(session_state& state, const origin& from, const message_ptr& what) {
  state.with_roster([from, what](session_state& again, errc code) {
    if (code != errc::ok) return end(again, from, what, code);
    judge(again, from, what);
  });
}

void ask_permit(session_state& state, const origin& from, const message_ptr& what) {
  storage::v1::StorageRequest request;
  request.set_trace(from.trace);
  storage::v1::RoomPermit& permit = *request.mutable_room_permit();
  permit.set_room(what->room.value);
  permit.set_one(state.account().value);
  permit.set_other(what->other.value);
  permit.set_domain(state.domain());
  state.ask(slot_of(what->room), std::move(request), patience::deadline,
            [from, what](session_state& again, storage_answer& got) {
              const bool nowhere = got.code == errc::no_such_object || got.code == errc::not_found;
              if (got.code != errc::ok) return end(again, from, what, nowhere ? errc::permission_denied : got.code);
              with_relation(again, from, what);
            });
}

}  // namespace

void reject_live(session_state& state, const origin& from, live_kind kind, errc code) {
  state.env().metrics.live.count_sent(kind, false);
  state.refuse(from, code);
}

void send_live(session_state& state, const origin& from, live_message what) {
  if (state.env().relay != nullptr) {  // nobody knows relations
    pass_on(state, from, what);
    return state.finish(from);
  }
  const auto kept = std::make_shared<live_message>(std::move(what));
  in_turn(state, kept->other, [from, kept](session_state& again) {
    hold_turn(again, kept->other);
    kept->room ? ask_permit(again, from, kept) : with_relation(again, from, kept);
  });
}

}  // namespace tern::session

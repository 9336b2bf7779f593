// What is of the moment, on its way to an account: the rights of a stream message or big data, and its turn among
// what else goes to the same account.
#pragma once

#include <tern/session/v1/session.pb.h>

#include "services/session/actors/session_state.hpp"

namespace tern::session {

/// Something unstored for the terminals of one account.
struct live_message {
  live_kind kind = live_kind::stream;
  account_id other;
  room_id room;       // set: both must be members of it instead of friends
  v1::PeerItem item;  // type and payload
};

/// Passes it on if the account may write to `other`, and ends the command: nothing is answered then. Friends on both
/// sides, neither blocking the other; with a room both members; with open messaging, and without storage, any account
/// of the domain. Else refused: 4105, 4106 when there is no such account, 4110 when the other side blocks.
void send_live(session_state& state, const origin& from, live_message what);

/// Refuses a stream message or big data.
void reject_live(session_state& state, const origin& from, live_kind kind, errc code);

}  // namespace tern::session

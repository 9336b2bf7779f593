// What reaches a session actor: mails with events of links, and answers to what it asked.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <memory>
#include <variant>
#include <vector>

#include "libs/base/ids.hpp"
#include "services/session/links/streams.hpp"

namespace tern::session {

class session_state;

struct bind_event {
  gateway_ptr from;
  v1::Bind bind;
};
struct frame_event {
  gateway_ptr from;
  v1::Frame frame;
};
struct acked_event {
  gateway_ptr from;
  v1::Acked acked;
};
struct closed_event {
  gateway_ptr from;
  uint64_t conn = 0;
};
struct delivery_event {
  source_ptr source;
  v1::Delivery delivery;
};
/// Something unstored of another account for the terminals there are.
struct peer_event {
  std::shared_ptr<v1::PeerItem> item;  // nobody else's when it names one account; else not to be changed
};
/// Look at the hub: where the account stands in a room has changed, or (`wake`) a message has come for a room that is
/// behind.
struct room_event {
  room_id room;
  bool wake = false;
};
/// A gateway's stream ended and its time of grace is over: terminals still bound over it are gone.
struct gateway_gone_event {
  gateway_ptr gone;
};
/// The account's slot has another owner (or epoch): tell everybody and end.
struct range_lost_event {};

/// The account's range is on its way to another node: stand still, hand over what is known.
struct freeze_event {
  uint64_t move = 0;
  uint32_t format = 0;
};
/// Nothing came of it, or not in time: go on. `all`: and who has handed over its state ends.
struct thaw_event {
  uint64_t move = 0;
  bool all = false;
};
/// It is decided whether a state that came for the account counts.
struct decided_event {};

using event = std::variant<bind_event, frame_event, acked_event, closed_event, delivery_event, gateway_gone_event,
                           range_lost_event, peer_event, room_event, freeze_event, thaw_event, decided_event>;

struct mail {
  std::vector<event> events;
};

/// Runs in the actor.
struct answer {
  std::function<void(session_state&)> run;
};

/// The wheel has come round.
using poke_atom = caf::atom_constant<caf::atom("poke")>;

}  // namespace tern::session

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::session::mail)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::session::answer)

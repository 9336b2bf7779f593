// What reaches a room actor: mails with events of links, and answers of storage.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <variant>
#include <vector>

#include "services/group/links/streams.hpp"

namespace tern::group {

class room_state;

struct request_event {
  caller who;
  v1::GroupRequest request;
};
/// The stream of a session node has ended, and its interests with it.
struct stream_gone_event {
  session_ptr stream;
};
/// The room's slot has another owner (or epoch). The last mail of an actor.
struct range_lost_event {};
/// The room is to stand still for this move, and to hand over what it knows.
struct freeze_event {
  uint64_t move = 0;
  uint32_t format = 0;  // of its state, at most
};
/// Nothing comes of the move, for rooms that have not handed over (or for all).
struct thaw_event {
  uint64_t move = 0;
  bool all = false;
};
/// What a former owner has handed over is decided on.
struct decided_event {};

using event =
    std::variant<request_event, stream_gone_event, range_lost_event, freeze_event, thaw_event, decided_event>;

struct mail {
  std::vector<event> events;
};

/// Runs in the actor.
struct answer {
  std::function<void(room_state&)> run;
};

}  // namespace tern::group

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::group::mail)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::group::answer)

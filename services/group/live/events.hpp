// What reaches the actor of a virtual room.
#pragma once

#include <caf/all.hpp>
#include <variant>
#include <vector>

#include "services/group/events.hpp"
#include "services/group/live/streams.hpp"

namespace tern::group::live {

struct request_event {
  asked what;
};
/// The stream of a gateway has ended, and its interests with it.
struct gateway_gone_event {
  gateway_ptr stream;
};
/// The room's slot has another owner (or epoch). The last mail of an actor.
struct range_lost_event {};

/// A range that moves: as of rooms.
using group::decided_event;
using group::freeze_event;
using group::thaw_event;

using event =
    std::variant<request_event, gateway_gone_event, range_lost_event, freeze_event, thaw_event, decided_event>;

struct mail {
  std::vector<event> events;
};

}  // namespace tern::group::live

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::group::live::mail)

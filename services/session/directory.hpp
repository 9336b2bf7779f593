// Account -> session actor.
#pragma once

#include "libs/actor/directory.hpp"
#include "libs/base/ids.hpp"
#include "services/session/events.hpp"

namespace tern::session {

/// Actors end by the map alone: no epochs.
class directory : public actor::directory<account_id, mail, range_lost_event> {
 public:
  using actor::directory<account_id, mail, range_lost_event>::directory;
};

}  // namespace tern::session

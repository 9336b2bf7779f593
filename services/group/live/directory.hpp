// Virtual room -> its actor of an epoch.
#pragma once

#include "libs/actor/directory.hpp"
#include "libs/base/ids.hpp"
#include "services/group/live/events.hpp"

namespace tern::group::live {

class directory : public actor::directory<room_id, mail, range_lost_event> {
 public:
  using actor::directory<room_id, mail, range_lost_event>::directory;
};

}  // namespace tern::group::live

// Account -> session actor.
#pragma once

#include <mutex>
#include <shared_mutex>

#include "libs/actor/directory.hpp"
#include "libs/base/ids.hpp"
#include "services/session/events.hpp"

namespace tern::session {

/// Actors end by the map alone: no epochs.
class directory : public actor::directory<account_id, mail, range_lost_event> {
 public:
  using actor::directory<account_id, mail, range_lost_event>::directory;

  /// Whoever looks whether an account is ours and posts to it holds this meanwhile (shared).
  std::shared_mutex& turns() noexcept { return turns_; }
  /// After the maps have changed, or a range was claimed: returns when nobody posts by what was before. Actors ended
  /// then are not followed by others of the same range.
  void pass_turns() { const std::unique_lock nobody(turns_); }

 private:
  std::shared_mutex turns_;
};

}  // namespace tern::session

// How long a node may think that its ranges are still its own: a pure function of what it heard from the replicas of
// routing, and when. The argument for each rule is in docs/flows/placement.md, "Who may still own what".
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "libs/base/clock.hpp"

namespace tern::placement {

/// Times are of one monotonic clock. Streams have numbers, replicas their place in the configured list. Not
/// thread-safe.
class lease_trust {
 public:
  using time_point = clock::time_point;
  static constexpr size_t unlisted = SIZE_MAX;  // a replica that is not in the list

  /// A living leader gives the ranges away 6 s after the last heartbeat it heard; a new one not before 10 s after it
  /// began. The node stops a bit earlier.
  static constexpr auto of_lease = std::chrono::milliseconds(4000);
  static constexpr auto of_grace = std::chrono::milliseconds(9000);

  explicit lease_trust(size_t replicas) : refused_at_(replicas), unanswered_(replicas + 1) {}

  /// A stream to a replica is up; Hello leaves now.
  void up(uint64_t stream, size_t replica, time_point now);
  /// A heartbeat sent on it at `sent` was answered: that replica leads.
  void leased(uint64_t stream, time_point sent);
  /// The replica says that it does not lead (any more).
  void not_leader(uint64_t stream, time_point now);
  /// The stream ended by itself: the replica has died, as a rule. One that is cut off says nothing.
  void broke(uint64_t stream, time_point now);
  /// The node gave the stream up: it was silent, or another replica leads.
  void abandoned(uint64_t stream, time_point now);

  bool valid(time_point now) const;
  /// Sending time of the newest heartbeat that was answered.
  std::optional<time_point> renewed_at() const { return renewed_at_; }

 private:
  struct joined {
    size_t replica = unlisted;
    time_point asked{};   // Hello was sent
    bool leased = false;  // the replica has answered as a leader
  };
  /// What is over does not come back by what is heard later.
  void lapse(time_point now);
  void lost_leader(const joined& which);
  size_t place(const joined& of) const { return std::min(of.replica, refused_at_.size()); }

  std::vector<std::optional<time_point>> refused_at_;  // replica -> it did not lead at some time after this
  // replica -> what was sent to it on a stream that was given up: it may have counted from there. Last: unlisted
  // ones.
  std::vector<std::optional<time_point>> unanswered_;
  std::map<uint64_t, joined> streams_;
  std::optional<time_point> renewed_at_;
  time_point until_{};
};

}  // namespace tern::placement

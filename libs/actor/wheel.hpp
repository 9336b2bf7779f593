// Coarse timers of actors: no delayed_send, whose cost is a thread hop and whose references outlive the
// actor.
#pragma once

#include <algorithm>
#include <caf/all.hpp>
#include <chrono>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "libs/base/clock.hpp"

namespace tern::actor {

/// Between two ticks of a supervisor with nothing under way and nothing due: a process that does nothing should not
/// wake up forty times a second for it.
inline constexpr std::chrono::milliseconds idle_tick{125};

/// The wheel has come round.
using poke_atom = caf::atom_constant<caf::atom("poke")>;

/// Thread-safe. Due times are rounded up to 128 ms; the supervisor's tick calls turn().
class wheel {
 public:
  explicit wheel(const clock& time) : time_(time) {}

  /// Sends poke_atom to `who` after `delay`. Weak: an actor that has ended is forgotten.
  void after(std::chrono::milliseconds delay, const caf::actor& who) {
    const int64_t due = bucket(time_.now() + delay) + 1;
    const std::lock_guard held(mutex_);
    buckets_[due].push_back(caf::actor_cast<caf::weak_actor_ptr>(who));
  }

  /// How long the supervisor may wait before it turns again: until the first entry is due, but never longer than
  /// `most`, so that what is entered meanwhile with at least that delay is not late, and never shorter than `least`.
  std::chrono::milliseconds rest(std::chrono::milliseconds least, std::chrono::milliseconds most) const {
    const int64_t now = milliseconds(time_.now());
    const std::lock_guard held(mutex_);
    if (buckets_.empty()) return most;
    return std::clamp(std::chrono::milliseconds(buckets_.begin()->first * bucket_ms - now), least, most);
  }

  void turn() {
    std::vector<caf::weak_actor_ptr> due;
    {
      const int64_t now = bucket(time_.now());
      const std::lock_guard held(mutex_);
      while (!buckets_.empty() && buckets_.begin()->first <= now) {
        auto& first = buckets_.begin()->second;
        due.insert(due.end(), first.begin(), first.end());
        buckets_.erase(buckets_.begin());
      }
    }
    for (const auto& weak : due) {
      if (const auto who = caf::actor_cast<caf::actor>(weak)) caf::anon_send(who, poke_atom::value);
    }
  }

 private:
  static constexpr int64_t bucket_ms = 128;
  static int64_t milliseconds(clock::time_point at) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  }
  static int64_t bucket(clock::time_point at) { return milliseconds(at) / bucket_ms; }

  const clock& time_;
  mutable std::mutex mutex_;
  std::map<int64_t, std::vector<caf::weak_actor_ptr>> buckets_;
};

}  // namespace tern::actor

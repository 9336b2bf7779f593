// Which replica of routing leads: what one replica concludes from the leader row of the meta database and does about
// it. Pure logic over a clock; the meta actor reads and writes the row. In the manner of Chubby's master leases
// (Burrows, OSDI 2006, 4.1), but fenced: the row's term decides what is committed, the clocks only who tries, and
// when.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "libs/base/clock.hpp"

namespace tern::routing {

/// The leader row. `node` is empty when nobody leads.
struct leader_row {
  uint64_t term = 0;  // grows with every leader
  std::string node;
  uint64_t incarnation = 0;
  std::string address;  // of its Join and Control streams
  uint64_t beat = 0;    // grows with every renewal
  bool operator==(const leader_row&) const = default;
};

struct leader_options {
  std::chrono::milliseconds lease{4000};  // a row that does not change for so long is anybody's
  /// A follower reads the row so often; whatever failed is tried again after this.
  std::chrono::milliseconds look() const { return lease / 8; }
  /// The leader raises the beat so often.
  std::chrono::milliseconds renew() const { return lease / 4; }
  /// A leader that could not renew for so long is none: a second before another may take over.
  std::chrono::milliseconds trust() const { return lease - lease / 4; }
};

/// One step at a time: next() says what to do in the database, the answer goes to the method of that name. Not
/// thread-safe.
class election {
 public:
  using time_point = clock::time_point;
  enum class step : uint8_t { none, look, take_over, renew };

  /// `self`: node, incarnation and address of this replica.
  election(const clock& time, leader_options how, leader_row self);

  /// What is due now. take_over: replace seen() by a row of this replica.
  step next();
  const leader_row& seen() const noexcept { return seen_; }

  /// The row as it was read.
  void looked(leader_row row);
  /// take_over() succeeded: this replica leads with `term`, from a request sent at `sent`.
  void took_over(uint64_t term, time_point sent);
  /// The beat was raised, by a renewal or by a commit, with a request sent at `sent`. Of another term: ignored.
  void renewed(uint64_t term, time_point sent);
  /// The row is not ours, or not what we thought: look again at once, lead no more.
  void refused();
  /// The database did not answer: the same again, later.
  void failed();
  /// From now on this replica only follows (clean stop).
  void retire();

  /// The term in which this replica leads now. None: it does not lead, or not surely.
  std::optional<uint64_t> leads() const;
  /// Who leads as far as this replica knows; `node` is empty when nobody does for sure.
  leader_row leader() const;
  /// Newest term this replica has seen.
  uint64_t term() const noexcept { return seen_.term; }

 private:
  bool at_once() const;

  const clock& time_;
  const leader_options how_;
  const leader_row self_;
  leader_row seen_;
  std::optional<leader_row> before_us_;  // what this node's former process left behind
  bool looked_once_ = false;
  time_point changed_at_{};  // when seen_ was found to differ from what it was before
  time_point due_{};         // of the next step
  std::optional<uint64_t> term_;
  time_point renewed_at_{};  // sending time of the last successful renewal
  bool look_first_ = true;   // seen_ is not to be acted upon
  bool retired_ = false;
};

}  // namespace tern::routing

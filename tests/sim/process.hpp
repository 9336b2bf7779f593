// A simulated process: an actor system of its own whose actors run on the simulation's thread.
#pragma once

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <memory>
#include <optional>

#include "libs/actor/actor.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/placement/moves.hpp"
#include "libs/placement/view.hpp"
#include "tests/sim/referee.hpp"
#include "tests/sim/world.hpp"

namespace tern::sim {

class membership_client;

/// What services are made of is in the derived classes; their destructors must have ended all actors (end_actors).
class process {
 public:
  explicit process(host& on);
  virtual ~process();
  process(const process&) = delete;
  process& operator=(const process&) = delete;

  host& on() noexcept { return host_; }
  /// Maps that reached this process; older ones than it has are dropped.
  void take_map(const placement::snapshot_ptr& current, referee& watch);
  /// Its client of routing's streams, where routing is not played. Ends first.
  std::unique_ptr<membership_client> member;
  /// Newer maps than before have reached this process.
  virtual void on_map(const placement::snapshot_ptr& current) = 0;
  /// Routing wants a range of this node handed over.
  virtual void on_order(const placement::move_order&) {}
  /// Things left undone that are bounded by configuration; a violation is reported when one is beyond.
  virtual void check_bounds() {}

  /// Actors' clock and delayed messages up to the present.
  void sync();
  bool has_work() const { return !scheduler_.jobs.empty(); }
  /// One actor, chosen by `which`, takes one message.
  void work(size_t which);
  size_t jobs() const { return scheduler_.jobs.size(); }
  /// When its next timer is due.
  std::optional<duration> next_timer();

 protected:
  /// Runs what is left, without time passing.
  void settle();
  caf::actor_system& actors() noexcept { return *actors_; }

  metrics::registry metrics_;

 private:
  class test_config : public actor::system_config {
   public:
    test_config() : actor::system_config(1) { set("scheduler.policy", caf::atom("testing")); }
  };

  host& host_;
  uint64_t map_version_ = 0;
  test_config config_;
  std::unique_ptr<caf::actor_system> actors_;
  caf::scheduler::test_coordinator& scheduler_;
  duration synced_;
};

}  // namespace tern::sim

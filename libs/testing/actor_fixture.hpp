// GoogleTest fixture around CAF's test coordinator: actors run on the test's thread, one message at a time, and time
// moves by hand. Detached actors are outside of its control.
#pragma once

#include <gtest/gtest.h>

#include <caf/all.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <chrono>

#include "libs/actor/actor.hpp"
#include "libs/testing/fake_clock.hpp"

namespace tern::testing {

/// Actor system configuration with the test scheduler.
class test_config : public actor::system_config {
 public:
  test_config() : actor::system_config(1) { set("scheduler.policy", caf::atom("testing")); }
};

/// Derive the fixture from it. Members in order of construction; actors still alive at the end are ended by
/// `end(handle)` or by their owner, else the actor system's destructor waits for them: call `end` for each.
class actor_fixture : public ::testing::Test {
 public:
  /// Runs until no actor has anything to do. Timers do not fire.
  void run() { sched.run(); }

  /// Moves the fake clock and CAF's timers by `by`, then runs.
  void advance(std::chrono::nanoseconds by) {
    time.advance(by);
    sched.advance_time(by);
    run();
  }

  /// Asks an actor to end and runs until it has.
  void end(const caf::actor& who) {
    caf::anon_send_exit(who, caf::exit_reason::user_shutdown);
    run();
  }

  /// The state of a live `actor::stateful<State>` actor.
  template <class State>
  static State& state_of(const caf::actor& who) {
    return dynamic_cast<actor::stateful<State>&>(*caf::actor_cast<caf::abstract_actor*>(who)).state;
  }

  test_config config;
  caf::actor_system actors{config};
  caf::scheduler::test_coordinator& sched = dynamic_cast<caf::scheduler::test_coordinator&>(actors.scheduler());
  caf::scoped_actor self{actors, true};
  fake_clock time;
};

}  // namespace tern::testing

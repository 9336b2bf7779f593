// What every actor of the project is built on: a base class ThreadSanitizer understands, common handlers, and the
// configuration of the actor system. Pulls in caf/all.hpp: include it in .cpp files and actor headers only.
#pragma once

#include <caf/all.hpp>
#include <cstddef>
#include <string_view>

#include "libs/actor/measured.hpp"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace tern::actor {

#if defined(__SANITIZE_THREAD__)
/// libcaf_core is not instrumented, so ThreadSanitizer does not see that a message is pushed before it is handled and
/// that one run of an actor ends before the next begins. This base publishes exactly these two edges, keyed by the
/// actor's control block. In all other builds it is Base itself and costs nothing.
template <class Base>
class hb : public Base {
 public:
  using Base::Base;
  ~hb() override { __tsan_acquire(edge()); }

  void launch(caf::execution_unit* unit, bool lazy, bool hide) override {
    __tsan_release(edge());
    Base::launch(unit, lazy, hide);
  }
  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) override {
    __tsan_release(edge());
    Base::enqueue(std::move(element), unit);
  }
  caf::invoke_message_result consume(caf::mailbox_element& element) override {
    const caf::intrusive_ptr<caf::actor_control_block> alive{this->ctrl()};
    __tsan_acquire(edge());
    const auto outcome = Base::consume(element);
    __tsan_release(edge());  // the next run may begin before this one's resume() returns
    return outcome;
  }
  caf::resumable::resume_result resume(caf::execution_unit* unit, size_t max_throughput) override {
    const caf::intrusive_ptr<caf::actor_control_block> alive{this->ctrl()};
    __tsan_acquire(edge());
    const auto outcome = Base::resume(unit, max_throughput);
    __tsan_release(edge());
    return outcome;
  }

 private:
  void* edge() noexcept { return this->ctrl(); }
};
#else
template <class Base>
using hb = Base;
#endif

/// The type of actors without state, in metrics.
struct stateless {
  static inline const char* name = "stateless";
};

/// The base of all actors with state: `caf::behavior f(actor::stateful<x_state>* self, …)`. The state is destroyed
/// when the actor quits, even while handles to it survive.
template <class State>
using stateful = caf::stateful_actor<State, measured<hb<caf::event_based_actor>, State>>;

/// The same for an actor without state.
using plain = measured<hb<caf::event_based_actor>, stateless>;

/// Unexpected messages are logged by type, answered with sec::unexpected_message and dropped; an exception that
/// leaves a handler is logged and ends the actor with sec::runtime_error. Call it first in each behaviour function.
void set_common_handlers(caf::scheduled_actor* self);

/// Configuration of an actor system: work sharing (its idle cost is nil and its wake-ups are quick on few cores),
/// at most 100 messages per run of an actor, `threads` scheduler threads (0: one per core).
class system_config : public caf::actor_system_config {
 public:
  explicit system_config(size_t threads);
};

/// `auto config = make_actor_config(2); caf::actor_system actors{config};`: the system refers to its configuration.
inline system_config make_actor_config(size_t threads) { return system_config{threads}; }

}  // namespace tern::actor

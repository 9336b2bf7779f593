// Running an actor in the thread that sends to it: a lone message then costs no hop to a sleeping scheduler thread.
#pragma once

#include <caf/all.hpp>
#include <cstddef>
#include <deque>
#include <utility>

namespace tern::actor {

/// While the outermost scope of a thread lives, actors woken by post() in this thread do not go to the scheduler;
/// they run here, one after the other, when the scope ends. Whatever posts must have given back its locks by then.
/// What an actor does here must not block, as on any scheduler thread. Meant for handlers of transport threads that
/// got a few items; with many, the scheduler's threads share them better. Scopes inside a scope do nothing.
class inline_scope {
 public:
  /// No system, or `wanted` false: the scope does nothing.
  explicit inline_scope(caf::actor_system* system, bool wanted = true);
  ~inline_scope();
  inline_scope(const inline_scope&) = delete;
  inline_scope& operator=(const inline_scope&) = delete;

  /// Null outside of any scope: then the scheduler runs the actor.
  static caf::execution_unit* current() noexcept;

 private:
  /// Actors run here at most; those woken after that go to the scheduler, so that a thread gets back to its work.
  static constexpr size_t most_runs = 16;

  class unit final : public caf::execution_unit {
   public:
    explicit unit(caf::actor_system* system) : caf::execution_unit(system) {}
    void exec_later(caf::resumable* job) override { jobs_.push_back(job); }
    void run();

   private:
    void run_one(caf::resumable* job);
    std::deque<caf::resumable*> jobs_;
  };

  unit unit_;
  bool outermost_ = false;
};

/// anon_send, but within a scope the receiver runs in this thread.
template <class... Ts>
void post(const caf::actor& to, Ts&&... content) {
  if (to) to->eq_impl(caf::make_message_id(), nullptr, inline_scope::current(), std::forward<Ts>(content)...);
}

}  // namespace tern::actor

#include "libs/actor/inline_run.hpp"

namespace tern::actor {
namespace {

constexpr size_t messages_per_run = 100;  // as the scheduler's threads do
thread_local caf::execution_unit* current_unit = nullptr;

}  // namespace

caf::execution_unit* inline_scope::current() noexcept { return current_unit; }

inline_scope::inline_scope(caf::actor_system* system, bool wanted) : unit_(system) {
  if (system == nullptr || !wanted || current_unit != nullptr) return;
  outermost_ = true;
  current_unit = &unit_;
}

inline_scope::~inline_scope() {
  if (!outermost_) return;
  unit_.run();
  current_unit = nullptr;
}

void inline_scope::unit::run() {
  for (size_t i = 0; i < most_runs && !jobs_.empty(); ++i) {
    caf::resumable* job = jobs_.front();
    jobs_.pop_front();
    run_one(job);
  }
  for (caf::resumable* job : jobs_) system().scheduler().enqueue(job);
  jobs_.clear();
}

void inline_scope::unit::run_one(caf::resumable* job) {
  switch (job->resume(this, messages_per_run)) {
    case caf::resumable::resume_later: system().scheduler().enqueue(job); break;  // keeps our reference
    case caf::resumable::awaiting_message:
    case caf::resumable::done:
    case caf::resumable::shutdown_execution_unit: caf::intrusive_ptr_release(job); break;
  }
}

}  // namespace tern::actor

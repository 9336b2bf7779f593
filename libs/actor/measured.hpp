// What is measured of actors, by type: how many there are, their messages, and, of one message in 32, how long it
// waited in the mailbox and behind how many others. Read by libs/app/runtime_metrics.cpp.
#pragma once

#include <atomic>
#include <caf/all.hpp>
#include <chrono>
#include <cstdint>
#include <utility>

#include "libs/actor/type_tally.hpp"

namespace tern::actor {

namespace detail {

/// True for one call of a thread in 32.
inline bool sampled() noexcept {
  static thread_local uint32_t turn = 0;
  return (++turn & 31U) == 0;
}

/// One message on its way through a mailbox. Enqueuing threads and the actor's run share it without a lock: whoever
/// changes `element` from null to itself writes the rest, and publishes the message's address last.
struct probe {
  std::atomic<const void*> element{nullptr};
  std::atomic<int64_t> since{0};      // steady, nanoseconds
  std::atomic<uint64_t> behind{0};    // messages handled when it came
  std::atomic<uint64_t> consumed{0};  // written by the actor's run only

  static int64_t now() noexcept { return std::chrono::steady_clock::now().time_since_epoch().count(); }

  void comes(const void* message) noexcept {
    const void* none = nullptr;
    if (!element.compare_exchange_strong(none, this, std::memory_order_acquire)) return;
    since.store(now(), std::memory_order_relaxed);
    behind.store(consumed.load(std::memory_order_relaxed), std::memory_order_relaxed);
    element.store(message, std::memory_order_release);
  }
  void is_handled(const void* message, type_tally& of) noexcept {
    const auto before = consumed.load(std::memory_order_relaxed);
    consumed.store(before + 1, std::memory_order_relaxed);
    if (element.load(std::memory_order_acquire) != message) return;
    const auto earlier = before - behind.load(std::memory_order_relaxed);
    of.wait.observe(static_cast<double>(now() - since.load(std::memory_order_relaxed)) / 1e9);
    of.depth.observe(static_cast<double>(earlier));
    element.store(nullptr, std::memory_order_release);
  }
};

}  // namespace detail

/// Counts for actors with the state State, whose `name` is the label.
template <class Base, class State>
class measured : public Base {
 public:
  template <class... Arguments>
  explicit measured(caf::actor_config& how, Arguments&&... arguments)
      : Base(how, std::forward<Arguments>(arguments)...) {
    tally_.alive.fetch_add(1, std::memory_order_relaxed);
  }
  ~measured() override { tally_.alive.fetch_sub(1, std::memory_order_relaxed); }

  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) override {
    if (detail::sampled()) probe_.comes(element.get());
    Base::enqueue(std::move(element), unit);
  }
  caf::invoke_message_result consume(caf::mailbox_element& element) override {
    tally_.messages.add();
    probe_.is_handled(&element, tally_);
    return Base::consume(element);
  }

 private:
  static const char* type() noexcept {
    if constexpr (requires { State::name; }) {
      return State::name;
    } else {
      return "other";
    }
  }
  inline static type_tally tally_{type()};
  detail::probe probe_;
};

}  // namespace tern::actor

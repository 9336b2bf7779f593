// The counts of the types of actors in this process, for whoever exports them. Without CAF: light.
#pragma once

#include <atomic>
#include <cstdint>

#include "libs/metrics/tally.hpp"

namespace tern::actor {

/// The counts of one type of actor. Lives as long as the process; all of them form a list.
class type_tally {
 public:
  explicit type_tally(const char* name) noexcept : type(name) {
    next = first().load();
    while (!first().compare_exchange_weak(next, this)) {
    }
  }
  static std::atomic<type_tally*>& first() noexcept {
    static std::atomic<type_tally*> head{nullptr};
    return head;
  }

  const char* const type;
  type_tally* next = nullptr;
  std::atomic<int64_t> alive{0};
  metrics::tally messages;
  metrics::time_tally wait;
  metrics::depth_tally depth;
};

}  // namespace tern::actor

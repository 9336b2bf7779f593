// Time as an interface, so that tests move it by hand (libs/testing/fake_clock.hpp).
#pragma once

#include <chrono>
#include <cstdint>

namespace tern {

/// Thread-safe. `now` is monotonic and decides timeouts; `wall_ns` is only ever shown or stored, never compared for
/// order.
class clock {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  virtual ~clock() = default;
  virtual time_point now() const = 0;
  /// Nanoseconds since 1970-01-01 UTC.
  virtual int64_t wall_ns() const = 0;
};

/// The machine's clocks; one object for the whole process.
const clock& system_clock();

}  // namespace tern

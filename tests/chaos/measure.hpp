// What clients noticed of a fault, taken from the history they wrote. Pure: no clock, no I/O.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tests/verify/history.hpp"

namespace tern::chaos {

/// Moments of one run, by the clock of the history.
struct moments {
  verify::instant began = 0;     // messages flow
  verify::instant struck = 0;    // the fault begins
  verify::instant released = 0;  // and is over, as far as we do something to it
  verify::instant ended = 0;     // clients are told to stop writing
};

/// Times in milliseconds. A delivery's latency is the time from the first sending to the first arrival at a receiver.
struct figures {
  size_t sent = 0;
  size_t delivered = 0;
  size_t dropped = 0;  // connections that ended between `struck` and `ended`
  double p99_before = 0;
  double p99_during = 0;  // of what was sent from `struck` until all was well
  // Of each message that was on its way at `struck` or sent from then until all was well: the time until its last
  // receiver had it.
  double wait_p99 = 0;
  double wait_max = 0;
  double well_after = 0;  // from `struck` to the last delivery, receipt or connection that was late because of it
  double slow_above = 0;  // "late" is above this latency
};

figures measure(const verify::history& seen, const moments& when);

/// Violations by what they mean for people.
struct damage {
  size_t lost = 0;  // acknowledged and not stored, or not delivered
  size_t doubled = 0;
  size_t reordered = 0;
  size_t other = 0;  // of the checks that are left, such as progress
  std::vector<std::string> samples;
  size_t total() const noexcept { return lost + doubled + reordered + other; }
};

damage assess(const std::vector<verify::violation>& found);

/// The p-th part (0..1) of the values, nearest rank; 0 of none.
double quantile(std::vector<double> values, double p);

}  // namespace tern::chaos

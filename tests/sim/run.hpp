// One seed: a cluster, its clients, its faults, and what is said of it at the end.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/faults.hpp"

namespace tern::sim {

struct run_options {
  uint64_t seed = 1;
  bool show = false;  // prints the trace
  planted bug = planted::none;
  bool strict = false;  // also what README.md lists as not kept yet
  bool rooms = true;
  bool routing = false;  // the real one, not played
};

struct run_result {
  std::vector<std::string> violations;  // empty: all is well
  uint64_t digest = 0;                  // of the whole trace
  uint64_t steps = 0;
  size_t sent = 0, acknowledged = 0, received = 0, faults = 0, handed_over = 0;
  double simulated_seconds = 0;
};

/// The same options give the same result, always.
run_result run(const run_options& how);

/// The command that shows what a seed did.
std::string replay_command(const run_options& how);

std::string_view to_string(planted bug) noexcept;
/// none for an unknown name.
planted planted_of(std::string_view name) noexcept;

}  // namespace tern::sim

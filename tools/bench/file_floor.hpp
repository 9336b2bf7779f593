// The plain relay a file transfer is compared with.
#pragma once

#include "tools/bench/file_window.hpp"
#include "tools/bench/scenarios.hpp"

namespace tern::bench {

/// Window and acknowledgements of a scenario's file.
file_plan plan_of(const stream_file_options& how);

/// The same file, pieces, window, acknowledgements and checksums through a child process that passes bytes on.
/// Values: mib_per_second, relay_cpu_us_per_mib.
result<report> run_file_floor(const file_plan& plan);

}  // namespace tern::bench

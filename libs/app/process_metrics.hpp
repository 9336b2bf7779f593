// Metrics every process has: process_* (names of the Prometheus client guidelines), tern_build_info, log drops.
#pragma once

namespace tern::metrics {
class registry;
}

namespace tern::app {

/// Registers them; they are read from /proc at each scrape.
void add_process_metrics(metrics::registry& into);

}  // namespace tern::app

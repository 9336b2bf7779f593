// Series that every service has: actors, scheduler, gRPC streams.
#pragma once

#include <cstddef>

namespace tern::metrics {
class registry;
}

namespace tern::app {

/// Actors by type, their mailboxes and messages, how busy `actor_threads` threads (0: one per core) are, gRPC
/// streams.
void add_runtime_metrics(metrics::registry& into, size_t actor_threads);

}  // namespace tern::app

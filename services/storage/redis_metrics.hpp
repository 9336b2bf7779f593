// The series of Redis operations.
#pragma once

namespace tern::metrics {
class registry;
}

namespace tern::storage {

/// Exported whether or not Redis is used.
void add_redis_metrics(metrics::registry& to);

}  // namespace tern::storage

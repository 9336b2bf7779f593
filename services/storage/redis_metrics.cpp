#include "services/storage/redis_metrics.hpp"

#include <array>
#include <memory>
#include <mutex>

#include "libs/metrics/pulled.hpp"
#include "libs/redis/client.hpp"

namespace tern::storage {

void add_redis_metrics(metrics::registry& to) {
  struct followed {
    metrics::pulled_histogram<metrics::second_bounds.size()> seconds;
    metrics::pulled_counter errors;
  };
  struct all {
    std::mutex lock;  // scrapes may overlap
    std::array<followed, 4> of;
  };
  auto kept = std::make_shared<all>();
  for (size_t i = 0; i < kept->of.size(); ++i) {
    const metrics::labels op{{"op", redis::operations()[i].name}};
    kept->of[i].seconds = metrics::pulled_histogram<metrics::second_bounds.size()>(
        to.histogram("tern_redis_operation_seconds", "Redis operations, those that failed too, connecting included",
                     metrics::latency_buckets(), op));
    kept->of[i].errors =
        metrics::pulled_counter(to.counter("tern_redis_errors_total", "Redis operations that failed", op));
  }
  to.on_collect([kept] {
    const std::lock_guard hold{kept->lock};
    for (size_t i = 0; i < kept->of.size(); ++i) {
      kept->of[i].seconds.reach(redis::operations()[i].seconds);
      kept->of[i].errors.reach(static_cast<double>(redis::operations()[i].errors.read()));
    }
  });
}

}  // namespace tern::storage

#include "services/storage/refusals.hpp"

#include <memory>
#include <mutex>
#include <set>

#include "libs/log/log.hpp"

namespace tern::storage {
namespace {

const log::logger logger{"storage"};
constexpr size_t places_most = 1000;

struct watch {
  std::string shard;
  metrics::counter refused;
  std::mutex mutex;
  std::set<std::string> logged;
};

}  // namespace

std::function<void(const std::string&)> watch_refusals(metrics::registry& registry, const std::string& shard) {
  auto state = std::make_shared<watch>();
  state->shard = shard;
  state->refused =
      registry.counter("tern_storage_rows_refused_total",
                       "Reads of rows that do not decrypt, or are not sealed and should be", {{"shard", shard}});
  return [state](const std::string& place) {
    state->refused.add();
    {
      const std::lock_guard guard(state->mutex);
      if (state->logged.size() >= places_most || !state->logged.insert(place).second) return;
    }
    logger.error("a stored row does not decrypt and is not served", {{"shard", state->shard}, {"row", place}});
  };
}

}  // namespace tern::storage

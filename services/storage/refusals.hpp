// Rows that do not decrypt: counted, and each logged once.
#pragma once

#include <functional>
#include <string>

#include "libs/metrics/metrics.hpp"

namespace tern::storage {

/// For sealing::refused of one shard. Thread-safe; remembers the places it has logged, up to a bound.
std::function<void(const std::string& place)> watch_refusals(metrics::registry& registry, const std::string& shard);

}  // namespace tern::storage

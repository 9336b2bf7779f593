// What the storage service cannot do without, as `ternctl doctor` tries it.
#pragma once

#include <vector>

#include "libs/app/service.hpp"
#include "services/storage/config.hpp"

namespace tern::storage {

/// The database of each shard and Redis, if there is one. Each is tried on a connection of its own.
std::vector<app::dependency> dependencies_of(const std::vector<shard_setting>& shards, const storage_config& options);

}  // namespace tern::storage

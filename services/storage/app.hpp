// The storage service, put together.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "libs/app/service.hpp"
#include "services/storage/config.hpp"
#include "services/storage/moves/shard_mover.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// `with` must outlive the service. `open` replaces the stores that are opened as configured, and `moves` how slots
/// are moved, in tests.
std::unique_ptr<app::service> make_storage_service(
    app::context& with, const storage_config& options,
    std::function<result<std::unique_ptr<store>>(const std::string&)> open = {}, mover_options moves = {});

}  // namespace tern::storage

// The storage service, put together.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "libs/app/service.hpp"
#include "services/storage/config.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

/// `with` must outlive the service. `open` replaces open_store_with(), by the options' rule, in tests.
std::unique_ptr<app::service> make_storage_service(
    app::context& with, const storage_config& options,
    std::function<result<std::unique_ptr<store>>(const std::string&)> open = nullptr);

}  // namespace tern::storage

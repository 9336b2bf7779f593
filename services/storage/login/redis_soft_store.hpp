// soft_store on a Redis server.
#pragma once

#include <memory>
#include <string>

#include "services/storage/login/soft_store.hpp"

namespace tern::storage {

/// config when the URL cannot be understood. The server may be away: then every call is unavailable until it is back.
result<std::shared_ptr<soft_store>> make_redis_soft_store(const std::string& url, const std::string& password = {});

}  // namespace tern::storage

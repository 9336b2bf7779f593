#include "services/storage/login/redis_soft_store.hpp"

namespace tern::storage {

result<std::shared_ptr<soft_store>> make_redis_soft_store(const std::string& url) {
  return error{errc::config, "storage.redis.url: this build has no Redis client, cannot use " + url};
}

}  // namespace tern::storage

#include "services/storage/login/redis_soft_store.hpp"

#include <utility>

#include "libs/redis/client.hpp"

namespace tern::storage {
namespace {

class redis_soft_store final : public soft_store {
 public:
  explicit redis_soft_store(redis::address where) : client_(std::move(where)) {}

  result<void> set_ex(const std::string& key, const std::string& value, std::chrono::seconds life) override {
    return client_.set_ex(key, value, life);
  }
  result<std::optional<std::string>> getdel(const std::string& key) override { return client_.getdel(key); }
  result<int64_t> incr_expire(const std::string& key, std::chrono::seconds life) override {
    return client_.incr_expire(key, life);
  }

 private:
  redis::client client_;
};

}  // namespace

result<std::shared_ptr<soft_store>> make_redis_soft_store(const std::string& url, const std::string& password) {
  auto where = redis::parse_url(url);
  if (!where) return error{errc::config, "storage.redis.url: " + where.error().detail};
  if (!password.empty()) where->password = password;
  return std::shared_ptr<soft_store>(std::make_shared<redis_soft_store>(std::move(*where)));
}

}  // namespace tern::storage

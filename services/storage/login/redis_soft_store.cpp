#include "services/storage/login/redis_soft_store.hpp"

#include "libs/redis/client.hpp"

namespace tern::storage {
namespace {

/// Whether a lost command was carried out does not matter to callers.
class redis_soft_store final : public soft_store {
 public:
  explicit redis_soft_store(redis::address where) : client_(std::move(where)) {}

  result<void> set_ex(const std::string& key, const std::string& value, std::chrono::seconds life) override {
    auto done = client_.set_ex(key, value, life);
    return done ? done : result<void>{away(done.error())};
  }
  result<std::optional<std::string>> getdel(const std::string& key) override {
    auto found = client_.getdel(key);
    if (!found) return away(found.error());
    return found;
  }
  result<int64_t> incr_expire(const std::string& key, std::chrono::seconds life) override {
    auto sum = client_.incr_expire(key, life);
    if (!sum) return away(sum.error());
    return sum;
  }

 private:
  static error away(error failed) {
    if (failed.code == errc::deadline) failed.code = errc::unavailable;
    return failed;
  }
  redis::client client_;
};

}  // namespace

result<std::shared_ptr<soft_store>> make_redis_soft_store(const std::string& url) {
  auto where = redis::parse_url(url);
  if (!where) return where.error();
  return std::shared_ptr<soft_store>(std::make_shared<redis_soft_store>(std::move(*where)));
}

}  // namespace tern::storage

#include "services/routing/meta_store.hpp"

#include "services/routing/meta_store_sql.hpp"

namespace tern::routing {
namespace {

class memory_meta_store final : public meta_store {
 public:
  result<void> open() override { return {}; }
  result<meta_state> load() override { return state_; }
  result<void> commit(const meta_state& now, const meta_state& next) override {
    if (state_.version != now.version) return errc::stale_epoch;
    state_ = next;
    return {};
  }

 private:
  meta_state state_;
};

}  // namespace

std::unique_ptr<meta_store> make_meta_store(const std::string& dsn) {
  if (dsn == "memory:") return std::make_unique<memory_meta_store>();
  return make_sql_meta_store(dsn);
}

}  // namespace tern::routing

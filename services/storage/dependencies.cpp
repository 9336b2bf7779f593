#include "services/storage/dependencies.hpp"

#include "libs/redis/client.hpp"
#include "libs/sql/probe.hpp"

namespace tern::storage {
namespace {

constexpr std::chrono::milliseconds patience{2000};

app::dependency_state try_database(const std::string& dsn) {
  const auto found = sql::probe(dsn, patience);
  if (!found) return {false, found.error().detail, -1, {}};
  return {true, {}, found->schema, found->directory};
}

app::dependency_state try_redis(const redis::address& where) {
  redis::client client(where, {patience, patience, {}, {}});
  const auto answered = client.ping();
  return {bool(answered), answered ? std::string() : answered.error().detail, -1, {}};
}

}  // namespace

std::vector<app::dependency> dependencies_of(const std::vector<shard_setting>& shards,
                                             const storage_config& options) {
  std::vector<app::dependency> all;
  for (const auto& each : shards) {
    if (each.dsn == "memory:") continue;
    all.push_back(
        {"shard " + each.name, "shard", sql::shown(each.dsn), [dsn = each.dsn] { return try_database(dsn); }});
  }
  if (options.redis_url.empty()) return all;
  auto where = redis::parse_url(options.redis_url);
  if (!where) return all;
  if (!options.redis_password.empty()) where->password = options.redis_password;
  const auto shown = where->host.empty() ? "unix:" + where->path : where->host + ":" + std::to_string(where->port);
  all.push_back({"redis", "redis", "redis " + shown, [at = *where] { return try_redis(at); }});
  return all;
}

}  // namespace tern::storage

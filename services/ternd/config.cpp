#include "services/ternd/config.hpp"

#include <unistd.h>

#include "libs/config/schema.hpp"

namespace tern::ternd {

void declare(config::schema& into, ternd_config& options) {
  into.add("ternd.data_dir", options.data_dir, "directory of the databases and of the secrets made at the first start");
}

std::string default_meta_dsn(const std::string& dir) { return "sqlite:" + dir + "/meta.db"; }

std::string default_shard(const std::string& dir) {
  return std::string(shard_name) + "=sqlite:" + dir + "/" + shard_name + ".db";
}

result<void> use_directory(config::schema& schema, const std::string& dir, const app::data_directory* held) {
  schema.set_default("routing.meta.dsn", default_meta_dsn(dir));
  schema.set_default("storage.shards", default_shard(dir));
  const std::string key = dir + "/" + identity_file;
  if (held != nullptr) {
    const auto made = held->secret_file(identity_file);
    if (!made) return made.error();
  }
  // Before the first start there is none to be read; a real start has made it by now.
  if (::access(key.c_str(), F_OK) == 0) schema.set_default("identity.key_file", key);
  return {};
}

}  // namespace tern::ternd

#include "services/ternd/config.hpp"

#include <unistd.h>

#include <utility>

#include "libs/config/schema.hpp"

namespace tern::ternd {

void declare(config::schema& into, ternd_config& options) {
  into.add("ternd.data_dir", options.data_dir,
           "directory of the databases and of the secrets made at the first start");
  into.add("ternd.erase_account", options.erase_account,
           "An account (its node, as clients see it, or its id as 0x...) whose data is destroyed, for ever; the "
           "process writes "
           "the receipt and ends");
}

std::string default_meta_dsn(const std::string& dir) { return "sqlite:" + dir + "/meta.db"; }

std::string default_shard(const std::string& dir) {
  return std::string(shard_name) + "=sqlite:" + dir + "/" + shard_name + ".db";
}

result<std::optional<app::data_directory>> use_directory(config::schema& schema, const std::string& dir, bool dry) {
  // What a node without storage has to remember is how to derive account ids: the key below.
  const bool stores = schema.value_of("session.storage").value_or("") != "none";
  schema.set_default("routing.meta.dsn", stores ? default_meta_dsn(dir) : "memory:");
  // Nobody else ever leads here, a restart does not wait, and each renewal is a write to the disk.
  schema.set_default("routing.leader_lease_ms", "60000");
  schema.set_default("storage.shards", default_shard(dir));
  const std::string key = dir + "/" + identity_file;
  const bool made_before = ::access(key.c_str(), F_OK) == 0;
  if (made_before) schema.set_default("identity.key_file", key);
  const std::string sealing = dir + "/" + encryption_file;
  const bool seals = stores && schema.value_of("storage.encryption.mode").value_or("") != "off";
  if (::access(sealing.c_str(), F_OK) == 0) schema.set_default("storage.encryption.key_file", sealing);
  std::optional<app::data_directory> held;
  if (!dry) {
    auto opened = app::data_directory::open(dir);
    if (!opened) return opened.error();
    if (const auto made = opened->secret_file(identity_file); !made) return made.error();
    if (seals && !schema.secret_of("storage.encryption.key")) {
      if (const auto made = opened->secret_file(encryption_file); !made) return made.error();
      schema.set_default("storage.encryption.key_file", sealing);
    }
    held.emplace(std::move(*opened));
    if (!made_before) schema.set_default("identity.key_file", key);
  }
  return held;
}

}  // namespace tern::ternd

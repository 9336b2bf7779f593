// Options of ternd: those of the five services, and the directory everything is kept in.
#pragma once

#include <optional>
#include <string>

#include "libs/app/data_directory.hpp"
#include "services/gateway/config.hpp"
#include "services/group/config.hpp"
#include "services/routing/config.hpp"
#include "services/session/config.hpp"
#include "services/storage/config.hpp"

namespace tern::ternd {

inline routing::routing_config embedded_routing() {
  routing::routing_config made;
  made.embedded = true;
  return made;
}

struct ternd_config {
  std::string data_dir = "./tern-data";
  std::string erase_account;
  gateway::gateway_config gateway;
  session::session_config session;
  routing::routing_config routing = embedded_routing();
  group::group_config group;
  storage::storage_config storage;
};

/// Declares what is ternd's own; each service declares its options itself.
void declare(config::schema& into, ternd_config& options);

/// Where the databases are unless configured otherwise: routing's maps and the one shard "main", SQLite files in
/// `dir`.
std::string default_meta_dsn(const std::string& dir);
std::string default_shard(const std::string& dir);
inline constexpr const char* shard_name = "main";
inline constexpr const char* identity_file = "identity.key";
inline constexpr const char* encryption_file = "encryption.key";

/// The same as defaults of the schema: databases, the identity key and the key-encryption key (both made at the first
/// start) in the data directory, which is held as long as the result lives. With `dry` nothing is made or held.
result<std::optional<app::data_directory>> use_directory(config::schema& schema, const std::string& dir, bool dry);

}  // namespace tern::ternd

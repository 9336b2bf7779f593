#include "services/storage/repositories/backends.hpp"

namespace tern::storage {

result<std::unique_ptr<store>> open_pg_store(const std::string&) {
  return error{errc::config, "this build has no PostgreSQL shards yet"};
}

}  // namespace tern::storage

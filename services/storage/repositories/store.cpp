#include "services/storage/repositories/store.hpp"

#include "libs/sql/connection.hpp"
#include "services/storage/repositories/backends.hpp"

namespace tern::storage {

bool write_batch::empty() const { return rows() == 0; }

size_t write_batch::rows() const {
  return conversations.size() + messages.size() + released_keys.size() + outbox.size() + outbox_done.size() +
         roster.size() + cursors.size() + notices.size() + notices_done.size() + accounts.size() + tokens.size() +
         tokens_taken.size();
}

result<std::unique_ptr<store>> open_store(const std::string& dsn) {
  if (dsn == "memory:") return open_memory_store();
  if (dsn.empty()) return error{errc::config, "a storage shard needs a DSN"};
  return sql::is_sqlite(dsn) ? open_sqlite_store(dsn) : open_pg_store(dsn);
}

}  // namespace tern::storage

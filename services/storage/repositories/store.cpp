#include "services/storage/repositories/store.hpp"

#include "libs/base/big_endian.hpp"
#include "libs/sql/connection.hpp"
#include "services/storage/repositories/backends.hpp"

namespace tern::storage {

bool write_batch::empty() const { return rows() == 0; }

size_t write_batch::rows() const {
  return conversations.size() + messages.size() + released_keys.size() + outbox.size() + outbox_done.size() +
         roster.size() + cursors.size() + notices.size() + notices_done.size() + accounts.size() + tokens.size() +
         tokens_taken.size() + recalled.size() + rooms.size() + members.size() + account_rooms.size() +
         profiles.size() + passwords.size();
}

std::string pack_ids(const std::vector<account_id>& ids) {
  std::string bytes;
  bytes.reserve(ids.size() * 8);
  for (const auto& id : ids) append_u64(bytes, id.value);
  return bytes;
}

std::vector<account_id> unpack_ids(std::string_view bytes) {
  std::vector<account_id> ids(bytes.size() / 8);
  for (size_t i = 0; i < ids.size(); ++i) ids[i].value = read_u64(bytes.data() + 8 * i);
  return ids;
}

result<std::unique_ptr<store>> open_store(const std::string& dsn) { return open_store_with(dsn, {}); }

result<std::unique_ptr<store>> open_store_with(const std::string& dsn, const sync_rule& rule) {
  if (dsn == "memory:") return open_memory_store();
  if (dsn.empty()) return error{errc::config, "a storage shard needs a DSN"};
  return sql::is_sqlite(dsn) ? open_sqlite_store(dsn, {}) : open_pg_store(dsn, {}, rule);
}

result<std::unique_ptr<store>> open_sealed_store(const std::string& dsn, const sealing& how, const sync_rule& rule) {
  if (dsn.empty() || dsn == "memory:") return open_store(dsn);
  auto kept = how;
  kept.aware = true;
  return sql::is_sqlite(dsn) ? open_sqlite_store(dsn, kept) : open_pg_store(dsn, kept, rule);
}

}  // namespace tern::storage

// The three implementations behind open_store(), and what they share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "libs/base/clock.hpp"
#include "services/storage/repositories/sealing/row_cipher.hpp"
#include "services/storage/repositories/store.hpp"

namespace tern::storage {

result<std::unique_ptr<store>> open_memory_store();
/// "sqlite:PATH".
result<std::unique_ptr<store>> open_sqlite_store(const std::string& dsn, const sealing& how);
/// A PostgreSQL connection string or URI. Nothing is connected before the first use.
result<std::unique_ptr<store>> open_pg_store(const std::string& dsn, const sealing& how, const sync_rule& rule = {});

/// Strictly growing numbers near the wall clock: the order in which cursors became dirty. One per writer.
class dirty_stamp {
 public:
  int64_t next() { return last_ = std::max(last_ + 1, system_clock().wall_ns()); }

 private:
  int64_t last_ = 0;
};

/// What the conversations' rows say besides the head, as this writer read or committed it; nobody else writes them
/// while the fence is its own. A commit whose conversations only got new heads writes none of their rows: the newest
/// message tells the head. Thread-safe: commits at the same time share it.
class relation_memory {
 public:
  void clear();
  void remember(const conversation_row& row);
  /// The rows that must be written.
  std::vector<conversation_row> changed(const std::vector<conversation_row>& rows) const;

 private:
  struct relation {
    uint64_t version = 0;
    uint32_t a_bits = 0, b_bits = 0;
    bool operator==(const relation&) const = default;
  };
  mutable std::mutex mutex_;
  std::unordered_map<conversation_id, relation> known_;
};

/// Accounts as 8 bytes each, big-endian: how `room.managers` is stored.
std::string pack_ids(const std::vector<account_id>& ids);
std::vector<account_id> unpack_ids(std::string_view bytes);

/// The last row of each key, where a batch names one more than once. `key(row)` must be ordered.
template <class Row, class Key>
std::vector<Row> last_of_each(const std::vector<Row>& all, Key key) {
  std::map<decltype(key(all.front())), const Row*> kept;
  for (const auto& row : all) kept[key(row)] = &row;
  std::vector<Row> rows;
  for (const auto& [of, row] : kept) rows.push_back(*row);
  return rows;
}

/// The row with the newest version of each key; of equals the first.
template <class Row, class Key>
std::vector<Row> newest_of_each(const std::vector<Row>& all, Key key) {
  std::map<decltype(key(all.front())), const Row*> kept;
  for (const auto& row : all) {
    const Row*& best = kept[key(row)];
    if (best == nullptr || row.version > best->version) best = &row;
  }
  std::vector<Row> rows;
  for (const auto& [of, row] : kept) rows.push_back(*row);
  return rows;
}

/// Opens the page's rows, cuts them to the query's bytes and says how far an oldest-first page has looked. `cut`: the
/// database left rows out because of the bytes already. A row that does not open is left out; `database` when a page
/// that people look at (newest first) has no other, while a drain goes on behind it.
result<history_page> finish_page(const history_query& query, bool cut, row_cipher& cipher, history_page page);

/// The answer to a read of rows that were refused: says nothing of why.
inline error unreadable() { return {errc::database, "a stored row cannot be read"}; }

/// The least that a stored body can hold.
size_t plain_size(std::string_view stored);

/// A page of the outbox without the entries that do not open: they stay where they are. Fewer than `limit` only at
/// the end. `scan(after, limit)` gives them as stored.
template <class Scan>
result<std::vector<outbox_entry>> scan_readable(uint64_t after, size_t limit, row_cipher& cipher, const Scan& scan) {
  std::vector<outbox_entry> rows;
  while (rows.size() < limit) {
    const size_t asked = limit - rows.size();
    auto more = scan(after, asked);
    if (!more) return more.error();
    const size_t got = more->size();
    if (got > 0) after = more->back().row.entry;
    static_cast<void>(cipher.open_all(*more));
    std::move(more->begin(), more->end(), std::back_inserter(rows));
    if (got < asked) break;
  }
  return rows;
}

}  // namespace tern::storage

// One shard in one SQLite file: the writer has a connection of its own, so has each reader (WAL: they never wait for
// it).
#include <atomic>
#include <limits>
#include <mutex>

#include "libs/sql/migrations.hpp"
#include "libs/sql/sqlite.hpp"
#include "migrations/storage_sqlite_migrations.hpp"
#include "services/storage/repositories/backends.hpp"
#include "services/storage/repositories/sqlite_room_statements.hpp"
#include "services/storage/repositories/sqlite_rows.hpp"
#include "services/storage/repositories/sqlite_statements.hpp"
#include "services/storage/repositories/sqlite_writer.hpp"

namespace tern::storage {
namespace {

class sqlite_reader final : public reader_store {
 public:
  sqlite_reader(std::unique_ptr<sql::sqlite_connection> database, std::shared_ptr<key_ring> keys)
      : database_(std::move(database)), cipher_(std::move(keys)) {}

  result<std::optional<account_row>> account(account_id id) override {
    std::optional<account_row> found;
    auto done = rows_of(sqlite_text::get_account, id, 0, [&](sql::sqlite_statement& s) {
      found =
          account_row{id, std::string(s.bytes(0)), std::string(s.bytes(1)), std::string(s.bytes(2)), s.integer(3)};
    });
    if (!done) return done.error();
    return found;
  }

  result<std::vector<roster_row>> roster(account_id id) override {
    std::vector<roster_row> rows;
    auto done = rows_of(sqlite_text::get_roster, id, 0, [&](sql::sqlite_statement& s) {
      rows.push_back(
          {id, {s.number(0)}, s.number(1), static_cast<uint32_t>(s.number(2)), static_cast<uint32_t>(s.number(3))});
    });
    if (!done) return done.error();
    return rows;
  }

  result<backlog> waiting(account_id id, uint32_t limit) override {
    backlog found;
    auto done = rows_of(sqlite_text::get_dirty, id, limit + int64_t{1}, [&](sql::sqlite_statement& s) {
      found.dirty.push_back({id, {s.number(0), s.number(1)}, {s.number(2)}, s.number(3), cursor_kind::mark});
    });
    if (!done) return done.error();
    done = rows_of(sqlite_text::get_notices, id, limit + int64_t{1}, [&](sql::sqlite_statement& s) {
      found.notices.push_back({id, s.number(0), std::string(s.bytes(1))});
    });
    if (!done) return done.error();
    found.more = found.dirty.size() > limit || found.notices.size() > limit;
    if (found.dirty.size() > limit) found.dirty.pop_back();
    if (found.notices.size() > limit) found.notices.pop_back();
    static_cast<void>(cipher_.open_all(found.notices));
    return found;
  }

  result<history_page> history(const history_query& query) override;
  result<std::vector<account_room_row>> rooms_of(account_id id) override;
  result<std::optional<std::pair<room_row, uint64_t>>> room(room_id id) override;
  result<std::optional<member_row>> member(room_id room, account_id account) override;
  result<std::vector<member_row>> members(room_id room, uint32_t bits, uint32_t limit) override;
  result<std::vector<profile_row>> profiles(std::span<const account_id> ids) override;
  uint64_t statements() const override { return database_->statements(); }

 private:
  /// $1, $2: slot and account; $3: limit, unless 0.
  template <class Id, class Take>
  result<void> rows_of(const char* text, Id id, int64_t limit, Take take) {
    auto statement = database_->prepare(text);
    if (!statement) return statement.error();
    auto& s = **statement;
    s.bind(1, slot_of(id)).bind(2, id.value);
    if (limit != 0) s.bind(3, limit);
    return all_rows(s, take);
  }

  std::unique_ptr<sql::sqlite_connection> database_;
  row_cipher cipher_;
};

result<history_page> sqlite_reader::history(const history_query& query) {
  auto statement = database_->prepare(query.newest_first ? sqlite_text::page_backward : sqlite_text::page_forward);
  if (!statement) return statement.error();
  auto& s = **statement;
  constexpr int64_t no_bound = std::numeric_limits<int64_t>::max();
  const int64_t from = query.newest_first && query.from_mid == 0 ? no_bound : static_cast<int64_t>(query.from_mid);
  s.bind(1, slot_of(query.conversation)).bind(2, query.conversation.hi).bind(3, query.conversation.lo).bind(4, from);
  int next = 7;
  s.bind(5, query.skip_sender.value).bind(6, left_out(query));
  if (query.newest_first) s.bind(next++, query.not_after_ns == 0 ? no_bound : query.not_after_ns);
  s.bind(next, query.limit);
  history_page page;
  while (true) {
    auto more = s.step();
    if (!more) return more.error();
    if (!*more) break;
    if (!page.conversation) {
      page.conversation = conversation_row{query.conversation,
                                           {s.number(0)},
                                           {s.number(1)},
                                           s.number(2),
                                           static_cast<uint32_t>(s.number(3)),
                                           static_cast<uint32_t>(s.number(4)),
                                           s.number(5)};
    }
    if (s.number(6) == 0) continue;  // the conversation alone: mids start at 1
    page.rows.push_back({query.conversation, s.number(6), {s.number(7)}, {}, s.integer(8), std::string(s.bytes(9))});
    set_flags(page.rows.back(), s.integer(10), s.number(11));
  }
  return finish_page(query, false, cipher_, std::move(page));
}

result<std::vector<account_room_row>> sqlite_reader::rooms_of(account_id id) {
  std::vector<account_room_row> rows;
  auto done = rows_of(sqlite_text::get_account_rooms, id, 0, [&](sql::sqlite_statement& s) {
    rows.push_back({id, {s.number(0)}, s.number(1), static_cast<uint32_t>(s.number(2)), s.number(3), s.number(4)});
  });
  if (!done) return done.error();
  return rows;
}

result<std::optional<std::pair<room_row, uint64_t>>> sqlite_reader::room(room_id id) {
  std::optional<std::pair<room_row, uint64_t>> found;
  auto done = rows_of(sqlite_text::get_room, id, 0,
                      [&](sql::sqlite_statement& s) { found.emplace(room_at(s), s.number(11)); });
  if (!done) return done.error();
  if (found && !cipher_.open(found->first)) return unreadable();
  return found;
}

result<std::optional<member_row>> sqlite_reader::member(room_id room, account_id account) {
  std::optional<member_row> found;
  auto statement = database_->prepare(sqlite_text::load_member);
  if (!statement) return statement.error();
  auto& s = **statement;
  s.bind(1, slot_of(room)).bind(2, room.value).bind(3, account.value);
  auto done = all_rows(s, [&](sql::sqlite_statement& row) {
    found = member_row{room, account, static_cast<uint32_t>(row.number(0))};
  });
  if (!done) return done.error();
  return found;
}

result<std::vector<member_row>> sqlite_reader::members(room_id room, uint32_t bits, uint32_t limit) {
  std::vector<member_row> rows;
  for (const auto* text : {sqlite_text::get_low_members, sqlite_text::get_high_members}) {
    auto statement = database_->prepare(text);
    if (!statement) return statement.error();
    auto& s = **statement;
    s.bind(1, slot_of(room)).bind(2, room.value).bind(3, bits).bind(4, static_cast<uint64_t>(limit - rows.size()));
    auto done = all_rows(s, [&](sql::sqlite_statement& row) {
      rows.push_back({room, {row.number(0)}, static_cast<uint32_t>(row.number(1))});
    });
    if (!done) return done.error();
  }
  return rows;
}

result<std::vector<profile_row>> sqlite_reader::profiles(std::span<const account_id> ids) {
  auto rows = profiles_of(*database_, ids);
  if (rows && !cipher_.open_all(*rows)) return unreadable();
  return rows;
}

class sqlite_store final : public store {
 public:
  sqlite_store(const std::string& dsn, const sealing& how) : path_(dsn.substr(dsn.find(':') + 1)) {
    if (how.aware) keys_ = std::make_shared<key_ring>(dsn, how);
  }

  result<std::unique_ptr<writer_store>> open_writer() override {
    sql::sqlite_options how;
    how.checkpoint_beside = true;
    auto database = connect(how);
    if (!database) return database.error();
    return std::unique_ptr<writer_store>(std::make_unique<sqlite_writer>(std::move(*database), keys_));
  }

  result<std::unique_ptr<reader_store>> open_reader() override {
    auto database = connect();
    if (!database) return database.error();
    return std::unique_ptr<reader_store>(std::make_unique<sqlite_reader>(std::move(*database), keys_));
  }

  result<void> migrate() override {
    const std::unique_lock held(mutex_);
    auto database = sql::sqlite_connection::open(path_);
    if (!database) return database.error();
    auto done = sql::migrate(**database, sql::storage_sqlite_migrations());
    if (done && keys_) done = keys_->load();
    migrated_ = static_cast<bool>(done);
    return done;
  }

  std::shared_ptr<key_ring> keys() const override { return keys_; }

  result<uint64_t> size_bytes() override {
    auto database = connect();
    if (!database) return database.error();
    auto rows = (*database)->query("select page_count * page_size from pragma_page_count(), pragma_page_size()", {});
    if (!rows) return rows.error();
    return rows->empty() ? 0 : static_cast<uint64_t>(sql::as_int(rows->front()[0]));
  }

 private:
  result<std::unique_ptr<sql::sqlite_connection>> connect(const sql::sqlite_options& how = {}) {
    if (!migrated_) {
      if (auto done = migrate(); !done) return done.error();
    }
    return sql::sqlite_connection::open(path_, how);
  }

  std::string path_;
  std::shared_ptr<key_ring> keys_;
  std::mutex mutex_;  // one migration at a time in this process too
  std::atomic<bool> migrated_ = false;
};

}  // namespace

result<std::unique_ptr<store>> open_sqlite_store(const std::string& dsn, const sealing& how) {
  return std::unique_ptr<store>(std::make_unique<sqlite_store>(dsn, how));
}

}  // namespace tern::storage

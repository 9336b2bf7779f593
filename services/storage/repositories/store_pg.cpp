// One shard in one PostgreSQL database.
#include <atomic>
#include <limits>
#include <mutex>

#include "libs/sql/migrations.hpp"
#include "libs/sql/pg.hpp"
#include "migrations/storage_pg_migrations.hpp"
#include "services/storage/repositories/pg_columns.hpp"
#include "services/storage/repositories/pg_room_statements.hpp"
#include "services/storage/repositories/pg_statements.hpp"
#include "services/storage/repositories/pg_writer.hpp"

namespace tern::storage {
namespace {

class pg_reader final : public reader_store {
 public:
  pg_reader(const std::string& dsn, const std::shared_ptr<sql::pg_terms>& terms, std::shared_ptr<key_ring> keys)
      : link_(dsn, reading(terms)), cipher_(std::move(keys)) {}

  result<void> connect() override { return link_.ensure(); }
  result<std::optional<account_row>> account(account_id id) override {
    auto found = run(pg_text::get_account, of(id, params_[0]));
    if (!found) return found.error();
    if (found->size() == 0) return std::optional<account_row>{};
    return std::optional(account_row{id, std::string(found->bytes(0, 0)), std::string(found->bytes(0, 1)),
                                     std::string(found->bytes(0, 2)), found->integer(0, 3)});
  }

  result<std::vector<roster_row>> roster(account_id id) override {
    auto found = run(pg_text::get_roster, of(id, params_[0]));
    if (!found) return found.error();
    std::vector<roster_row> rows(found->size());
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = {id, {found->number(i, 0)}, found->number(i, 1), found->number32(i, 2), found->number32(i, 3)};
    }
    return rows;
  }

  result<backlog> waiting(account_id id, uint32_t limit) override;
  result<history_page> history(const history_query& query) override;
  result<std::vector<account_room_row>> rooms_of(account_id id) override;
  result<std::optional<std::pair<room_row, uint64_t>>> room(room_id id) override;
  result<std::optional<member_row>> member(room_id room, account_id account) override;
  result<std::vector<member_row>> members(room_id room, uint32_t bits, uint32_t limit) override;
  result<std::vector<profile_row>> profiles(std::span<const account_id> ids) override;
  uint64_t statements() const override { return link_.statements(); }

 private:
  static sql::pg_link_options reading(const std::shared_ptr<sql::pg_terms>& terms) {
    sql::pg_link_options how;
    how.writes = false;
    how.terms = terms;
    return how;
  }
  template <class Id>
  static sql::pg_params& of(Id id, sql::pg_params& params) {
    params.clear();
    return params.int8(uint64_t{slot_of(id)}).int8(id.value);
  }

  result<std::vector<sql::pg_rows>> run(std::span<const sql::pg_link::call> calls) {
    auto found = link_.run(calls);
    if (found || found.code() != errc::deadline) return found;
    return error{errc::unavailable, found.error().detail};  // a read is never in doubt
  }
  result<sql::pg_rows> run(const sql::pg_statement& statement, sql::pg_params& params) {
    const sql::pg_link::call call{&statement, &params};
    auto found = run({&call, 1});
    if (!found) return found.error();
    return std::move(found->front());
  }

  sql::pg_link link_;
  row_cipher cipher_;
  sql::pg_params params_[2];
};

result<backlog> pg_reader::waiting(account_id id, uint32_t limit) {
  const sql::pg_link::call calls[] = {{&pg_text::get_dirty, &of(id, params_[0]).int8(limit + int64_t{1})},
                                      {&pg_text::get_notices, &of(id, params_[1]).int8(limit + int64_t{1})}};
  auto answer = run(calls);
  if (!answer) return answer.error();
  const auto& dirty = answer->front();
  const auto& notices = answer->back();
  backlog found;
  for (size_t i = 0; i < std::min<size_t>(dirty.size(), limit); ++i) {
    found.dirty.push_back(
        {id, {dirty.number(i, 0), dirty.number(i, 1)}, {dirty.number(i, 2)}, dirty.number(i, 3), cursor_kind::mark});
  }
  for (size_t i = 0; i < std::min<size_t>(notices.size(), limit); ++i) {
    found.notices.push_back({id, notices.number(i, 0), std::string(notices.bytes(i, 1))});
  }
  static_cast<void>(cipher_.open_all(found.notices));
  found.more = dirty.size() > limit || notices.size() > limit;
  return found;
}

result<history_page> pg_reader::history(const history_query& query) {
  constexpr int64_t no_bound = std::numeric_limits<int64_t>::max();
  const int64_t from = query.newest_first && query.from_mid == 0 ? no_bound : static_cast<int64_t>(query.from_mid);
  auto& params = params_[0];
  params.clear();
  params.int8(uint64_t{slot_of(query.conversation)})
      .int8(query.conversation.hi)
      .int8(query.conversation.lo)
      .int8(from);
  params.int8(query.skip_sender.value).int8(uint64_t{query.limit}).int8(std::max<uint64_t>(1, query.max_bytes));
  params.int8(left_out(query));
  if (query.newest_first) params.int8(query.not_after_ns == 0 ? no_bound : query.not_after_ns);
  auto found = run(query.newest_first ? pg_text::page_backward : pg_text::page_forward, params);
  if (!found) return found.error();
  history_page page;
  if (found->size() == 0) return page;
  page.conversation =
      conversation_row{query.conversation,    {found->number(0, 0)}, {found->number(0, 1)}, found->number(0, 2),
                       found->number32(0, 3), found->number32(0, 4), found->number(0, 5)};
  size_t bytes = 0;
  for (size_t i = 0; i < found->size() && !found->null(i, 6); ++i) {
    bytes += plain_size(found->bytes(i, 9));
    page.rows.push_back({query.conversation,
                         found->number(i, 6),
                         {found->number(i, 7)},
                         {},
                         found->integer(i, 8),
                         std::string(found->bytes(i, 9))});
    set_flags(page.rows.back(), found->integer(i, 10), found->number(i, 11));
  }
  return finish_page(query, bytes >= query.max_bytes, cipher_, std::move(page));
}

result<std::vector<account_room_row>> pg_reader::rooms_of(account_id id) {
  auto found = run(pg_text::get_account_rooms, of(id, params_[0]));
  if (!found) return found.error();
  std::vector<account_room_row> rows(found->size());
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {id,
               {found->number(i, 0)},
               found->number(i, 1),
               found->number32(i, 2),
               found->number(i, 3),
               found->number(i, 4)};
  }
  return rows;
}

result<std::optional<std::pair<room_row, uint64_t>>> pg_reader::room(room_id id) {
  auto found = run(pg_text::get_room, of(id, params_[0]));
  if (!found) return found.error();
  if (found->size() == 0) return std::optional<std::pair<room_row, uint64_t>>{};
  auto row = room_at(*found, 0);
  if (!cipher_.open(row)) return unreadable();
  return std::optional(std::pair(std::move(row), found->number(0, 11)));
}

result<std::optional<member_row>> pg_reader::member(room_id room, account_id account) {
  auto found = run(pg_text::get_member, of(room, params_[0]).int8(account.value));
  if (!found) return found.error();
  if (found->size() == 0) return std::optional<member_row>{};
  return std::optional(member_row{room, account, found->number32(0, 0)});
}

result<std::vector<member_row>> pg_reader::members(room_id room, uint32_t bits, uint32_t limit) {
  auto found = run(pg_text::get_members, of(room, params_[0]).int8(uint64_t{bits}).int8(uint64_t{limit}));
  if (!found) return found.error();
  std::vector<member_row> rows(found->size());
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = {room, {found->number(i, 0)}, found->number32(i, 1)};
  return rows;
}

result<std::vector<profile_row>> pg_reader::profiles(std::span<const account_id> ids) {
  params_[0].clear();
  auto found = run(pg_text::load_profiles, put_ids(params_[0], ids, [](account_id id) { return id; }));
  if (!found) return found.error();
  std::vector<profile_row> rows;
  for (size_t i = 0; i < found->size(); ++i) rows.push_back(profile_at(*found, i));
  if (!cipher_.open_all(rows)) return unreadable();
  return rows;
}

class pg_store final : public store {
 public:
  pg_store(const std::string& dsn, const sealing& how, const sync_rule& rule)
      : dsn_(dsn), watch_(std::make_shared<pg_watch>(dsn, rule)) {
    // Through the watch, not this object: readers and writers may outlive it.
    if (how.aware)
      keys_ = std::make_shared<key_ring>([dsn, watch = watch_] { return open_primary(dsn, *watch); }, how);
  }

  result<std::unique_ptr<writer_store>> open_writer() override {
    if (auto done = migrate_once(); !done) return done.error();
    watch_->start();
    return std::unique_ptr<writer_store>(std::make_unique<pg_writer>(dsn_, sql::pg_link_options{}, watch_, keys_));
  }
  result<std::unique_ptr<reader_store>> open_reader() override {
    if (auto done = migrate_once(); !done) return done.error();
    return std::unique_ptr<reader_store>(std::make_unique<pg_reader>(dsn_, watch_->terms(), keys_));
  }

  result<bool> prepare() override {
    if (migrated_) return true;
    const std::unique_lock held(mutex_);
    auto database = open_primary(dsn_, *watch_);
    if (!database) return database.error();
    auto ready = sql::is_migrated(**database, sql::storage_pg_migrations());
    if (!ready || !*ready) return ready;
    if (keys_) {
      if (auto loaded = keys_->load(); !loaded) return loaded.error();
    }
    migrated_ = true;
    return true;
  }

  result<void> migrate() override {
    const std::unique_lock held(mutex_);
    auto database = open_primary(dsn_, *watch_);
    if (!database) return database.error();
    auto done = sql::migrate(**database, sql::storage_pg_migrations());
    if (done && keys_) done = keys_->load();
    migrated_ = static_cast<bool>(done);
    return done;
  }

  std::shared_ptr<key_ring> keys() const override { return keys_; }

  result<uint64_t> size_bytes() override {
    auto database = open_primary(dsn_, *watch_);
    if (!database) return database.error();
    auto rows = (*database)->query("select pg_database_size(current_database())");
    if (!rows) return rows.error();
    return rows->empty() ? 0 : static_cast<uint64_t>(sql::as_int(rows->front()[0]));
  }

  store_health health() const override { return watch_->health(); }
  void require_term(uint64_t least) override { watch_->terms()->require(least); }

 private:
  result<void> migrate_once() { return migrated_ ? result<void>{} : migrate(); }
  static result<std::unique_ptr<sql::connection>> open_primary(const std::string& dsn, const pg_watch& watch) {
    const sql::connect_options how;
    auto primary = sql::primary_of(dsn, *watch.terms(), how.connect_timeout);
    if (!primary) return primary.error();
    return sql::open_pg(*primary, how);
  }

  const std::string dsn_;
  const std::shared_ptr<pg_watch> watch_;
  std::shared_ptr<key_ring> keys_;
  std::mutex mutex_;  // one migration at a time in this process too
  std::atomic<bool> migrated_ = false;
};

}  // namespace

result<std::unique_ptr<store>> open_pg_store(const std::string& dsn, const sealing& how, const sync_rule& rule) {
  return std::unique_ptr<store>(std::make_unique<pg_store>(dsn, how, rule));
}

}  // namespace tern::storage

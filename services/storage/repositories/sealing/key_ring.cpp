#include "services/storage/repositories/sealing/key_ring.hpp"

#include <filesystem>
#include <utility>

#include "libs/base/clock.hpp"
#include "libs/crypto/aead.hpp"
#include "libs/crypto/random.hpp"

namespace tern::storage {
namespace {

constexpr int64_t keys_lock = 0x7465726E'6B657973;  // "ternkeys"
constexpr std::chrono::milliseconds patience{2000};
constexpr std::chrono::seconds look_again{1};
constexpr size_t missing_most = 64;

uint64_t number(const sql::value& of) { return static_cast<uint64_t>(sql::as_int(of)); }

error no_master() {
  return {errc::config,
          "rows of this shard are sealed: storage.encryption.key_file must name the key-encryption key"};
}

/// A row of table data_key, its key unwrapped.
struct key_row {
  uint64_t id = 0;
  int64_t serial = 0;
  uint64_t kek = 0;
  int64_t created_ns = 0;
  std::string key;
};

/// All data keys, those in use in order of their serial. errc::config: a key-encryption key is missing or not theirs.
result<std::vector<key_row>> read_keys(sql::connection& database, const sealing& how) {
  auto rows = database.query("select id, serial, kek, created_ns, wrapped from data_key order by serial, id");
  if (!rows) return rows.error();
  if (!rows->empty() && !how.keys) return no_master();
  std::vector<key_row> out;
  for (const auto& row : *rows) {
    key_row one{number(row[0]), sql::as_int(row[1]), number(row[2]), sql::as_int(row[3]), {}};
    auto key = how.keys->unwrap(one.kek, one.id, sql::as_text(row[4]));
    if (!key) return key.error();
    one.key = std::move(*key);
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

key_ring::key_ring(const std::string& dsn, sealing how)
    : key_ring([dsn] { return sql::open(dsn); }, std::move(how)) {}

result<void> key_ring::locked(const std::function<result<void>(sql::connection&)>& work) {
  auto database = open_();
  if (!database) return database.error();
  if (auto begun = (*database)->begin_exclusive(keys_lock); !begun) return begun;
  if (auto done = work(**database); !done) {
    (*database)->rollback();
    return done;
  }
  return (*database)->commit();
}

result<void> key_ring::add_key(sql::connection& database) {
  std::string key(crypto::aes_gcm::key_size, '\0');
  crypto::random_bytes(key.data(), key.size());
  const uint64_t id = crypto::random_u64();
  auto newest = database.query("select coalesce(max(serial), 0) from data_key");
  if (!newest) return newest.error();
  auto added = database.query(
      "insert into data_key (id, serial, kek, created_ns, wrapped) values ($1, $2, $3, $4, $5)",
      {static_cast<int64_t>(id), sql::as_int(newest->front()[0]) + 1, static_cast<int64_t>(how_.keys->current()),
       system_clock().wall_ns(), sql::blob{how_.keys->wrap(id, key)}});
  return added ? result<void>{} : result<void>{added.error()};
}

result<void> key_ring::load_from(sql::connection& database) {
  auto rows = read_keys(database, how_);
  if (!rows) return rows.error();
  std::map<uint64_t, std::shared_ptr<const data_key>> keys;
  std::shared_ptr<const data_key> newest;
  bool other_wraps = false;
  for (auto& row : *rows) {
    other_wraps = other_wraps || row.kek != how_.keys->current();
    auto made = std::make_shared<const data_key>(data_key{row.id, row.created_ns, std::move(row.key)});
    if (row.serial > 0) newest = made;
    keys[made->id] = std::move(made);
  }
  const std::lock_guard guard(mutex_);
  keys_ = std::move(keys);
  rewrap_due_ = other_wraps;
  current_ = how_.seal_new ? std::move(newest) : nullptr;
  generation_.fetch_add(1, std::memory_order_release);
  return {};
}

result<void> key_ring::load() {
  {
    auto database = open_();
    if (!database) return database.error();
    if (auto done = load_from(**database); !done) return done;
  }
  if (rewrap_due()) {
    if (auto done = rewrap(); !done) return done.error();
  }
  if (!how_.seal_new) return forget_reseal();
  if (!how_.keys || current()) return {};
  return locked([this](sql::connection& database) -> result<void> {
    auto there = database.query("select id from data_key where serial > 0");
    if (!there) return there.error();
    if (there->empty()) {
      if (auto added = add_key(database); !added) return added;
    }
    return load_from(database);
  });
}

/// Rows are written that are not sealed: when they are to be again, all have to be looked at.
result<void> key_ring::forget_reseal() {
  auto database = open_();
  if (!database) return database.error();
  auto done = (*database)->query("delete from chore where name = 'reseal'");
  return done ? result<void>{} : result<void>{done.error()};
}

bool key_ring::rewrap_due() const {
  const std::lock_guard guard(mutex_);
  return rewrap_due_;
}

std::shared_ptr<const data_key> key_ring::current() const {
  const std::lock_guard guard(mutex_);
  return current_;
}

std::shared_ptr<const data_key> key_ring::find(uint64_t id) {
  {
    const std::lock_guard guard(mutex_);
    if (const auto at = keys_.find(id); at != keys_.end()) return at->second;
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(missing_, [&](const auto& one) { return now - one.second >= look_again; });
    if (missing_.size() >= missing_most || !missing_.try_emplace(id, now).second) return nullptr;
  }
  auto database = open_();
  if (!database || !load_from(**database)) return nullptr;
  const std::lock_guard guard(mutex_);
  const auto at = keys_.find(id);
  return at == keys_.end() ? nullptr : at->second;
}

std::vector<uint64_t> key_ring::ids() const {
  const std::lock_guard guard(mutex_);
  std::vector<uint64_t> out;
  for (const auto& [id, key] : keys_) out.push_back(id);
  return out;
}

result<void> key_ring::renew() {
  if (!how_.keys || !how_.seal_new) return error{errc::config, "storage.encryption.mode is off"};
  auto added = locked([this](sql::connection& database) { return add_key(database); });
  return added ? load() : added;
}

result<size_t> key_ring::rewrap() {
  if (!how_.keys) return size_t{0};
  size_t changed = 0;
  auto done = locked([&](sql::connection& database) -> result<void> {
    auto rows = read_keys(database, how_);
    if (!rows) return rows.error();
    for (const auto& row : *rows) {
      if (row.kek == how_.keys->current()) continue;
      auto put = database.query("update data_key set kek = $1, wrapped = $2 where id = $3",
                                {static_cast<int64_t>(how_.keys->current()),
                                 sql::blob{how_.keys->wrap(row.id, row.key)}, static_cast<int64_t>(row.id)});
      if (!put) return put.error();
      ++changed;
    }
    return {};
  });
  if (!done) return done.error();
  return changed;
}

result<void> check_keys(const std::string& dsn, const sealing& how) {
  if (dsn == "memory:") return {};
  if (sql::is_sqlite(dsn) && !std::filesystem::exists(dsn.substr(dsn.find(':') + 1))) return {};
  auto database = sql::open(dsn, {patience, patience});
  if (!database) return {};
  auto rows = read_keys(**database, how);
  // A database that does not answer, or is not set up yet, is not what this looks for.
  return rows || rows.code() != errc::config ? result<void>{} : result<void>{rows.error()};
}

}  // namespace tern::storage

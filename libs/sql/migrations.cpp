#include "libs/sql/migrations.hpp"

#include <cstdio>

#include "libs/crypto/hash.hpp"

namespace tern::sql {
namespace {

constexpr int64_t migration_lock = 0x7465726E'6D696772;  // "ternmigr"

constexpr const char* create_table =
    "create table if not exists schema_migration ("
    "version bigint primary key, name text not null, checksum text not null)";

std::string checksum(std::string_view text) {
  std::string hex;
  char digits[3];
  for (const char c : crypto::sha256(text)) {
    std::snprintf(digits, sizeof digits, "%02x", static_cast<uint8_t>(c));
    hex += digits;
  }
  return hex;
}

error refuse(const std::string& why) { return {errc::config, "schema: " + why}; }

/// How many of `all` are there already.
result<size_t> check_applied(connection& database, std::span<const migration> all) {
  auto rows = database.query("select version, name, checksum from schema_migration order by version");
  if (!rows) return rows.error();
  for (size_t i = 0; i < rows->size(); ++i) {
    const auto& row = (*rows)[i];
    const auto name = as_text(row[1]);
    if (i >= all.size()) return refuse("migration " + name + " is newer than this binary");
    if (as_int(row[0]) != all[i].version) return refuse("migration " + name + " is not the expected next one");
    if (as_text(row[2]) != checksum(all[i].text))
      return refuse("migration " + name + " was changed after it was applied");
  }
  return rows->size();
}

result<void> apply(connection& database, const migration& next) {
  if (auto done = database.script(std::string(next.text)); !done) {
    return error{done.code(), "migration " + std::string(next.name) + ": " + done.error().detail};
  }
  auto recorded = database.query("insert into schema_migration (version, name, checksum) values ($1, $2, $3)",
                                 {int64_t{next.version}, std::string(next.name), checksum(next.text)});
  return recorded ? result<void>{} : result<void>{recorded.error()};
}

/// One transaction: false when nothing was missing.
result<bool> step(connection& database, std::span<const migration> all) {
  if (auto made = database.script(create_table); !made) return made.error();
  auto applied = check_applied(database, all);
  if (!applied) return applied.error();
  if (*applied == all.size()) return false;
  if (auto done = apply(database, all[*applied]); !done) return done.error();
  return true;
}

}  // namespace

result<bool> is_migrated(connection& database, std::span<const migration> all) {
  auto there = database.query(database.dialect() == dialect::pg
                                  ? "select (to_regclass('schema_migration') is not null)::int"
                                  : "select count(*) from sqlite_master where name = 'schema_migration'");
  if (!there) return there.error();
  if (as_int(there->front()[0]) == 0) return false;
  auto applied = check_applied(database, all);
  if (!applied) return applied.error();
  return *applied == all.size();
}

result<void> migrate(connection& database, std::span<const migration> all) {
  while (true) {
    if (auto begun = database.begin_exclusive(migration_lock); !begun) return begun;
    auto more = step(database, all);
    if (!more) {
      database.rollback();
      return more.error();
    }
    if (auto done = database.commit(); !done) return done;
    if (!*more) return {};
  }
}

}  // namespace tern::sql

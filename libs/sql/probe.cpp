#include "libs/sql/probe.hpp"

#include <libpq-fe.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string_view>

#include "libs/sql/connection.hpp"

namespace tern::sql {
namespace {

constexpr std::string_view sqlite_prefix = "sqlite:";

std::string path_of(const std::string& dsn) { return dsn.substr(sqlite_prefix.size()); }

std::string seen_directory(const std::string& path) {
  std::error_code ignored;
  return !path.empty() && std::filesystem::is_directory(path, ignored) ? path : std::string();
}

/// A sort that does not fit into memory: about a megabyte goes to a file beside the tables for a moment. Nothing of
/// the catalogue changes, so it may be done again and again. Few wide rows with a number to sort by: all nodes do
/// this every few seconds, often at once, and what it costs the server is in somebody's latency (2 ms; texts took
/// 25).
result<void> try_to_write(connection& database) {
  if (auto begun = database.begin(); !begun) return begun;
  auto made = database.query("set local work_mem = '64kB'");
  if (made) {
    made = database.query(
        "select count(x) from (select repeat('x', 1000) as x from generate_series(1, 1000) n order by n desc offset "
        "1)"
        " sorted");
  }
  const error why = made ? error{} : made.error();
  database.rollback();
  if (made) return {};
  return why;
}

result<void> look_at_pg(connection& database, database_report& report) {
  auto state = database.query("select pg_is_in_recovery()::int, current_setting('transaction_read_only')");
  if (!state) return state.error();
  if (as_int(state->at(0).at(0)) != 0) return error{errc::unavailable, "the server is a standby: it takes no writes"};
  if (as_text(state->at(0).at(1)) == "on") return error{errc::unavailable, "the server is read-only"};
  if (auto wrote = try_to_write(database); !wrote) return wrote;
  // Only some users may know; only a server on this machine has it here.
  const auto where = database.query("select current_setting('data_directory', true)");
  if (where && !where->empty()) report.directory = seen_directory(as_text(where->at(0).at(0)));
  return {};
}

}  // namespace

result<database_report> probe(const std::string& dsn, std::chrono::milliseconds limit) {
  database_report report;
  if (is_sqlite(dsn)) {
    const std::filesystem::path file = path_of(dsn);
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return error{errc::unavailable, "there is no file " + file.string()};
    report.directory = seen_directory(file.has_parent_path() ? file.parent_path().string() : ".");
  }
  connect_options how;
  how.connect_timeout = how.statement_timeout = limit;
  auto opened = open(dsn, how);
  if (!opened) return opened.error();
  auto& database = **opened;
  if (database.dialect() == dialect::pg) {
    if (auto looked = look_at_pg(database, report); !looked) return looked.error();
  }
  const auto version = database.query("select coalesce(max(version), -1) from schema_migration");
  if (version && !version->empty()) report.schema = as_int(version->at(0).at(0));
  return report;
}

std::string shown(const std::string& dsn) {
  if (is_sqlite(dsn)) return "sqlite " + path_of(dsn);
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parts(PQconninfoParse(dsn.c_str(), nullptr),
                                                                           &PQconninfoFree);
  if (!parts) return "postgresql (not understood)";
  std::map<std::string, std::string> has;
  for (const auto* each = parts.get(); each->keyword != nullptr; ++each) {
    if (each->val != nullptr) has[each->keyword] = each->val;
  }
  const auto host = has["host"].empty() ? (has["hostaddr"].empty() ? "localhost" : has["hostaddr"]) : has["host"];
  const auto port = has["port"].empty() ? "5432" : has["port"];
  return "postgresql " + host + ":" + port + "/" + has["dbname"] + " as " + has["user"];
}

result<void> without_secrets(const std::string& dsn) {
  if (is_sqlite(dsn)) return {};
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parts(PQconninfoParse(dsn.c_str(), nullptr),
                                                                           &PQconninfoFree);
  if (!parts) return error{errc::bad_parameter, "the DSN is neither sqlite:PATH nor a PostgreSQL connection string"};
  for (const auto* each = parts.get(); each->keyword != nullptr; ++each) {
    const std::string_view name = each->keyword;
    if (name.ends_with("password") && each->val != nullptr)
      return error{errc::bad_parameter, "the DSN holds a password"};
  }
  return {};
}

}  // namespace tern::sql

#include "libs/sql/connection.hpp"
#include "libs/sql/pg.hpp"
#include "libs/sql/sqlite.hpp"

namespace tern::sql {
namespace {

constexpr std::string_view sqlite_prefix = "sqlite:";

}  // namespace

bool is_sqlite(const std::string& dsn) { return dsn.starts_with(sqlite_prefix); }

result<std::unique_ptr<connection>> open(const std::string& dsn, const connect_options& options) {
  if (!is_sqlite(dsn)) return open_pg(dsn, options);
  auto opened = sqlite_connection::open(dsn.substr(sqlite_prefix.size()), {options.statement_timeout});
  if (!opened) return opened.error();
  return std::unique_ptr<connection>(std::move(*opened));
}

}  // namespace tern::sql

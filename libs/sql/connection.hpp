// One database connection for control-plane statements: migrations, the meta database, sizes. Same dialect for both
// back-ends: parameters are $1, $2, …, first used in that order. Hot paths use sqlite.hpp and pg_link.hpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::sql {

/// Bytes, as opposed to text.
struct blob {
  std::string bytes;
  bool operator==(const blob&) const = default;
};
/// NULL, integer, text or bytes.
using value = std::variant<std::monostate, int64_t, std::string, blob>;
using row = std::vector<value>;

inline int64_t as_int(const value& v) { return std::holds_alternative<int64_t>(v) ? std::get<int64_t>(v) : 0; }
inline const std::string& as_text(const value& v) {
  static const std::string none;
  if (const auto* bytes = std::get_if<blob>(&v)) return bytes->bytes;
  const auto* text = std::get_if<std::string>(&v);
  return text == nullptr ? none : *text;
}

enum class dialect : uint8_t { sqlite, pg };

/// Not thread-safe; calls block. Errors of all calls: unavailable (cannot be reached, busy, full, read-only: not
/// done), deadline (connection lost around COMMIT or in a statement outside a transaction: outcome unknown), database
/// (constraint), internal (the statement is wrong). A lost connection stays lost until reopen(): a transaction never
/// goes on silently on a new one.
class connection {
 public:
  virtual ~connection() = default;
  virtual sql::dialect dialect() const = 0;
  /// Several statements without parameters or rows.
  virtual result<void> script(const std::string& text) = 0;
  virtual result<std::vector<row>> query(const std::string& statement, const std::vector<value>& params = {}) = 0;
  /// Starts a transaction that excludes every other begin_exclusive(key) on the database.
  virtual result<void> begin_exclusive(int64_t key) = 0;
  virtual result<void> begin() = 0;
  /// unavailable/database: rolled back; deadline: unknown.
  virtual result<void> commit() = 0;
  virtual void rollback() = 0;
  /// A fresh connection to the same database; what was under way is rolled back.
  virtual result<void> reopen() = 0;
  /// Rows changed by the last query().
  virtual uint64_t changed() const = 0;
  /// Statements sent so far, transaction control included.
  virtual uint64_t statements() const = 0;
};

struct connect_options {
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds statement_timeout{30'000};  // PostgreSQL: per statement; SQLite: waiting for a lock
};

/// "sqlite:PATH" (directories are made) or a PostgreSQL connection string/URI.
result<std::unique_ptr<connection>> open(const std::string& dsn, const connect_options& options = {});
bool is_sqlite(const std::string& dsn);

}  // namespace tern::sql

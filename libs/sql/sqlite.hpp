// SQLite with cached prepared statements. Light header: sqlite3.h stays inside.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "libs/sql/connection.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace tern::sql {

class sqlite_connection;
class sqlite_checkpointer;

/// A prepared statement; owned by its connection, used by one caller at a time. Bound bytes must live until the next
/// reset. Bind errors show in step().
class sqlite_statement {
 public:
  sqlite_statement(sqlite_connection& owner, sqlite3_stmt* handle) : owner_(owner), handle_(handle) {}
  ~sqlite_statement();
  sqlite_statement(const sqlite_statement&) = delete;
  sqlite_statement& operator=(const sqlite_statement&) = delete;

  sqlite_statement& bind(int index, int64_t number);
  sqlite_statement& bind(int index, uint64_t number) { return bind(index, static_cast<int64_t>(number)); }
  sqlite_statement& bind(int index, uint32_t number) { return bind(index, static_cast<int64_t>(number)); }
  sqlite_statement& bind_text(int index, std::string_view text);
  sqlite_statement& bind_bytes(int index, std::string_view bytes);
  sqlite_statement& bind_null(int index);
  /// True: a row can be read; false: finished (and reset).
  result<bool> step();
  /// step() to the end, without rows.
  result<void> run();
  void reset();

  int columns() const;
  int64_t integer(int column) const;
  uint64_t number(int column) const { return static_cast<uint64_t>(integer(column)); }
  /// Text or bytes; valid until the next step.
  std::string_view bytes(int column) const;
  sql::value value(int column) const;

 private:
  sqlite_connection& owner_;
  sqlite3_stmt* handle_;
  int failed_ = 0;
};

struct sqlite_options {
  std::chrono::milliseconds busy_timeout{5000};
  int checkpoint_pages = 8000;  // the write-ahead log goes into the file when it has so many
  /// Then by a thread of its own rather than inside a commit: for the one who writes all the time.
  bool checkpoint_beside = false;
};

/// WAL, synchronous=FULL: a commit is on disk when it returns.
class sqlite_connection final : public connection {
 public:
  static result<std::unique_ptr<sqlite_connection>> open(const std::string& path, const sqlite_options& options = {});
  ~sqlite_connection() override;

  sql::dialect dialect() const override { return dialect::sqlite; }
  result<void> script(const std::string& text) override;
  result<std::vector<row>> query(const std::string& statement, const std::vector<value>& params) override;
  result<void> begin_exclusive(int64_t key) override;
  result<void> begin() override;
  result<void> commit() override;
  void rollback() override;
  result<void> reopen() override;
  uint64_t changed() const override;
  uint64_t statements() const override { return statements_; }
  /// How often a thread of its own has moved the log; 0 without one.
  uint64_t checkpoints_beside() const;

  /// The cached statement, reset. Counts as one statement, however many rows it is then run for.
  result<sqlite_statement*> prepare(const std::string& text);
  error failure(int code) const;

 private:
  friend class sqlite_statement;
  sqlite_connection(std::string path, const sqlite_options& options);
  result<void> connect();
  void close();
  static int wait_for_lock(void* self, int attempts);
  static int after_commit(void* self, sqlite3* handle, const char* database, int pages);

  std::string path_;
  sqlite_options options_;
  std::unique_ptr<sqlite_checkpointer> checkpointer_;
  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string, std::unique_ptr<sqlite_statement>> cache_;
  uint64_t statements_ = 0;
  std::chrono::steady_clock::time_point waiting_until_;  // for the lock
};

}  // namespace tern::sql

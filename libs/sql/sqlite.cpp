#include "libs/sql/sqlite.hpp"

#include <sqlite3.h>

#include <filesystem>
#include <thread>

#include "libs/sql/sqlite_checkpointer.hpp"

namespace tern::sql {
namespace {

errc map_code(int code) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_NOMEM:
    case SQLITE_INTERRUPT: return errc::unavailable;
    case SQLITE_CONSTRAINT:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return errc::database;
    default: return errc::internal;
  }
}

result<void> bind_all(sqlite_statement& statement, const std::vector<value>& params) {
  for (size_t i = 0; i < params.size(); ++i) {
    const int index = static_cast<int>(i) + 1;
    if (const auto* number = std::get_if<int64_t>(&params[i])) {
      statement.bind(index, *number);
    } else if (const auto* text = std::get_if<std::string>(&params[i])) {
      statement.bind_text(index, *text);
    } else if (const auto* bytes = std::get_if<blob>(&params[i])) {
      statement.bind_bytes(index, bytes->bytes);
    } else {
      statement.bind_null(index);
    }
  }
  return {};
}

}  // namespace

sqlite_statement::~sqlite_statement() { sqlite3_finalize(handle_); }

sqlite_statement& sqlite_statement::bind(int index, int64_t number) {
  failed_ |= sqlite3_bind_int64(handle_, index, number);
  return *this;
}

sqlite_statement& sqlite_statement::bind_text(int index, std::string_view text) {
  const char* data = text.data() == nullptr ? "" : text.data();
  failed_ |= sqlite3_bind_text64(handle_, index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

sqlite_statement& sqlite_statement::bind_bytes(int index, std::string_view bytes) {
  const char* data = bytes.data() == nullptr ? "" : bytes.data();  // a null pointer would bind NULL
  failed_ |= sqlite3_bind_blob64(handle_, index, data, bytes.size(), SQLITE_STATIC);
  return *this;
}

sqlite_statement& sqlite_statement::bind_null(int index) {
  failed_ |= sqlite3_bind_null(handle_, index);
  return *this;
}

result<bool> sqlite_statement::step() {
  if (failed_ != 0) {
    reset();
    return error{errc::internal, "sqlite: a parameter cannot be bound"};
  }
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(handle_);
    return false;
  }
  auto failure = owner_.failure(code);
  reset();
  return failure;
}

result<void> sqlite_statement::run() {
  while (true) {
    auto more = step();
    if (!more) return more.error();
    if (!*more) return {};
  }
}

void sqlite_statement::reset() {
  sqlite3_reset(handle_);
  failed_ = 0;
}

int sqlite_statement::columns() const { return sqlite3_column_count(handle_); }
int64_t sqlite_statement::integer(int column) const { return sqlite3_column_int64(handle_, column); }

std::string_view sqlite_statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(handle_, column);
  const int size = sqlite3_column_bytes(handle_, column);
  return data == nullptr ? std::string_view{}
                         : std::string_view(static_cast<const char*>(data), static_cast<size_t>(size));
}

sql::value sqlite_statement::value(int column) const {
  switch (sqlite3_column_type(handle_, column)) {
    case SQLITE_INTEGER: return integer(column);
    case SQLITE_BLOB: return blob{std::string(bytes(column))};
    case SQLITE_NULL: return std::monostate{};
    default: return std::string(bytes(column));
  }
}

result<std::unique_ptr<sqlite_connection>> sqlite_connection::open(const std::string& path,
                                                                   const sqlite_options& options) {
  if (path.empty() || path == ":memory:") return error{errc::config, "sqlite: a file path is needed"};
  std::error_code ignored;  // opening tells what is wrong
  const auto parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, ignored);
  std::unique_ptr<sqlite_connection> made(new sqlite_connection(path, options));
  if (auto connected = made->connect(); !connected) return connected.error();
  return made;
}

sqlite_connection::sqlite_connection(std::string path, const sqlite_options& options)
    : path_(std::move(path)), options_(options) {
  if (options_.checkpoint_beside) {
    checkpointer_ = std::make_unique<sqlite_checkpointer>(path_, options_.checkpoint_pages);
  }
}

sqlite_connection::~sqlite_connection() {
  checkpointer_.reset();  // before the last connection goes: that one moves what is left
  close();
}

uint64_t sqlite_connection::checkpoints_beside() const { return checkpointer_ ? checkpointer_->passes() : 0; }

/// In place of SQLite's own hook, which checkpoints inside the commit.
int sqlite_connection::after_commit(void* self, sqlite3* handle, const char* database, int pages) {
  auto& me = *static_cast<sqlite_connection*>(self);
  if (!me.checkpointer_->committed(pages)) {
    me.checkpointer_->wait_for_pass();
    // Whether this succeeds says nothing about the commit.
    (void)sqlite3_wal_checkpoint_v2(handle, database, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  }
  return SQLITE_OK;
}

result<void> sqlite_connection::connect() {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  if (const int code = sqlite3_open_v2(path_.c_str(), &handle_, flags, nullptr); code != SQLITE_OK) {
    auto failed = failure(code);
    close();
    return failed;
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_handler(handle_, wait_for_lock, this);
  auto prepared = script(
      "pragma journal_mode = wal; pragma synchronous = full; pragma temp_store = memory; pragma cache_size = -16000;"
      "pragma journal_size_limit = 67108864; pragma wal_autocheckpoint = " +
      std::to_string(options_.checkpoint_pages));
  if (!prepared) {
    close();
  } else if (checkpointer_) {
    sqlite3_wal_hook(handle_, after_commit, this);
  }
  return prepared;
}

/// SQLite's own handler sleeps up to 100 ms between attempts and never gets the lock from a writer that commits
/// without a pause; this one asks often enough to meet the gap between two of its transactions.
int sqlite_connection::wait_for_lock(void* self, int attempts) {
  auto& me = *static_cast<sqlite_connection*>(self);
  const auto now = std::chrono::steady_clock::now();
  if (attempts == 0) me.waiting_until_ = now + me.options_.busy_timeout;
  if (now >= me.waiting_until_) return 0;
  std::this_thread::sleep_for(std::chrono::microseconds(100 + 37 * (attempts % 11)));
  return 1;
}

void sqlite_connection::close() {
  cache_.clear();
  sqlite3_close_v2(handle_);
  handle_ = nullptr;
}

result<void> sqlite_connection::reopen() {
  close();
  return connect();
}

error sqlite_connection::failure(int code) const {
  return {map_code(code),
          "sqlite: " + std::string(handle_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle_))};
}

result<void> sqlite_connection::script(const std::string& text) {
  if (handle_ == nullptr) return error{errc::unavailable, "sqlite: closed"};
  ++statements_;
  const int code = sqlite3_exec(handle_, text.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? result<void>{} : result<void>{failure(code)};
}

result<sqlite_statement*> sqlite_connection::prepare(const std::string& text) {
  if (handle_ == nullptr) return error{errc::unavailable, "sqlite: closed"};
  ++statements_;
  if (const auto found = cache_.find(text); found != cache_.end()) {
    found->second->reset();
    return found->second.get();
  }
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(handle_, text.data(), static_cast<int>(text.size()), SQLITE_PREPARE_PERSISTENT,
                                      &handle, nullptr);
  if (code != SQLITE_OK) return failure(code);
  auto& made = cache_[text];
  made = std::make_unique<sqlite_statement>(*this, handle);
  return made.get();
}

result<std::vector<row>> sqlite_connection::query(const std::string& statement, const std::vector<value>& params) {
  auto prepared = prepare(statement);
  if (!prepared) return prepared.error();
  auto& running = **prepared;
  if (auto bound = bind_all(running, params); !bound) return bound.error();
  std::vector<row> rows;
  while (true) {
    auto more = running.step();
    if (!more) return more.error();
    if (!*more) return rows;
    auto& made = rows.emplace_back();
    for (int column = 0; column < running.columns(); ++column) made.push_back(running.value(column));
  }
}

result<void> sqlite_connection::begin_exclusive(int64_t) { return begin(); }

result<void> sqlite_connection::begin() {
  auto statement = prepare("begin immediate");
  return statement ? (*statement)->run() : result<void>{statement.error()};
}

result<void> sqlite_connection::commit() {
  auto statement = prepare("commit");
  if (!statement) return statement.error();
  auto done = (*statement)->run();
  if (done) return done;
  auto failed = done.error();
  // A transaction that is still open can be taken back; otherwise, or after a failed fsync, nobody knows.
  const int code = sqlite3_extended_errcode(handle_);
  if (sqlite3_get_autocommit(handle_) != 0 || (code & 0xFF) == SQLITE_IOERR) failed.code = errc::deadline;
  rollback();
  return failed;
}

void sqlite_connection::rollback() {
  if (handle_ == nullptr || sqlite3_get_autocommit(handle_) != 0) return;
  if (auto statement = prepare("rollback"); statement) (void)(*statement)->run();
}

uint64_t sqlite_connection::changed() const {
  return handle_ == nullptr ? 0 : static_cast<uint64_t>(sqlite3_changes64(handle_));
}

}  // namespace tern::sql

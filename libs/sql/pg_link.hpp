// The hot path to PostgreSQL: libpq's pipeline mode with binary parameters and results (ADR 0004). Light header.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/sql/pg_hosts.hpp"
#include "libs/sql/pg_params.hpp"

struct pg_conn;
struct pg_result;

namespace tern::sql {

/// A statement's text under its name on the server; static objects, told apart by address. Prepared at its first use.
struct pg_statement {
  const char* name;
  const char* text;
};

/// The rows of one executed statement.
class pg_rows {
 public:
  explicit pg_rows(pg_result* owned) : handle_(owned) {}
  size_t size() const;
  bool null(size_t line, int column) const;
  /// smallint, int or bigint; 0 for NULL.
  int64_t integer(size_t line, int column) const;
  uint64_t number(size_t line, int column) const { return static_cast<uint64_t>(integer(line, column)); }
  uint32_t number32(size_t line, int column) const { return static_cast<uint32_t>(integer(line, column)); }
  /// bytea or text; lives as long as this object.
  std::string_view bytes(size_t line, int column) const;
  pg_result* handle() const { return handle_.get(); }

 private:
  struct clear_result {
    void operator()(pg_result* handle) const;
  };
  std::unique_ptr<pg_result, clear_result> handle_;
};

/// What becomes of a statement whose answer takes long; asked several times a second while one is under way.
enum class patience : uint8_t {
  wait,
  give_up,  // the connection is dropped: the outcome is unknown
  local,    // the server is told not to wait for its standbys, and that they did not confirm is accepted
};

struct pg_link_options {
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds host_grace{500};          // for other hosts of the list, once a primary has answered
  std::chrono::milliseconds statement_timeout{5000};  // at the server, per statement; never cuts a COMMIT short
  std::chrono::milliseconds answer_timeout{8000};     // here: then the connection is given up
  bool writes = true;                                 // false: a primary that is read-only will do
  std::shared_ptr<pg_terms> terms = nullptr;          // shared by all who use the same servers
  std::function<patience()> patient = nullptr;
};

/// One connection, to the primary of the listed hosts: it is given up when a newer primary is known. Not thread-safe;
/// calls block.
class pg_link {
 public:
  struct call {
    const pg_statement* statement;
    pg_params* params;
  };

  pg_link(std::string dsn, pg_link_options options);
  ~pg_link();
  pg_link(const pg_link&) = delete;
  pg_link& operator=(const pg_link&) = delete;

  /// Connects unless the connection is there and alive. unavailable: it cannot be had now.
  result<void> ensure();
  /// Grows with every new connection: what was agreed on an older one is gone.
  uint64_t generation() const noexcept { return generation_; }
  /// Who the connection is to.
  const pg_server& server() const noexcept { return server_; }
  /// Commits from here on do, or do not, wait for synchronous standbys. A change needs a new connection.
  void commit_locally(bool local);
  bool commits_locally() const noexcept { return local_; }

  /// All calls in one round trip and one transaction: when this returns rows they are committed (and on disk); an
  /// error other than deadline means that nothing was done. deadline: the connection was lost after the calls were
  /// sent.
  result<std::vector<pg_rows>> run(std::span<const call> calls);
  uint64_t statements() const noexcept { return statements_; }
  /// After run() said `database`: the constraint that was violated.
  const std::string& violated() const noexcept { return violated_; }

 private:
  enum class wait_for : uint8_t { answer, room };

  result<void> connect();
  void close();
  bool alive();
  bool send(const call& next, bool prepare);
  bool flush();
  bool wait(wait_for what);
  pg_result* next_result();
  result<std::vector<pg_rows>> collect(std::span<const call> calls, const std::vector<bool>& prepares);
  bool superseded() const;
  bool patient();
  error lost(std::string why);

  std::string dsn_;
  pg_link_options options_;
  pg_conn* handle_ = nullptr;
  std::unordered_set<const pg_statement*> prepared_;
  std::chrono::steady_clock::time_point until_;  // of the answer under way
  bool late_ = false;
  bool unconfirmed_ = false;  // a commit was not confirmed by its standbys
  bool cancelled_ = false;    // we told the server not to wait for them
  bool local_ = false;
  pg_server server_;
  std::string violated_;
  uint64_t generation_ = 0;
  uint64_t statements_ = 0;
};

}  // namespace tern::sql

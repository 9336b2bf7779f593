// The servers that one connection string lists: which of them is the primary that may be written to (ADR 0015).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

struct pg_conn;

namespace tern::sql {

/// What a server says of itself.
struct pg_server {
  std::string where;  // "10.0.0.7:5432"
  bool answers = false;
  std::string problem;        // why it does not
  bool standby = false;       // in recovery
  bool read_only = false;     // takes no writes though it is no standby
  uint64_t system = 0;        // system identifier: a primary's and all its standbys'
  uint64_t term = 0;          // primary: its timeline; standby: the newest one that a primary wrote into the fence
  int64_t started_us = 0;     // start of its postmaster
  uint32_t copies = 0;        // primary: standbys that confirm each commit
  uint32_t copies_asked = 0;  // primary: how many its settings make each commit wait for
};

/// The newest timeline of a shard's primary that anybody here has heard of. Thread-safe.
class pg_terms {
 public:
  struct term {
    uint64_t system = 0;  // 0: not known yet
    uint64_t timeline = 0;
  };
  /// A primary that is or was written to.
  void saw(uint64_t system, uint64_t timeline);
  /// Somebody else has seen this timeline.
  void require(uint64_t timeline);
  term newest() const;

 private:
  mutable std::mutex mutex_;
  term newest_;
};

/// The server to write to: of all primaries the one with the highest timeline, if nobody has heard of a higher one.
/// unavailable: there is none, or it cannot be told which. One that is read-only will do where nothing is written.
result<size_t> choose_primary(std::span<const pg_server> servers, const pg_terms::term& newest, bool writes = true);

/// How many standbys `synchronous_standby_names` makes a commit wait for.
uint32_t standbys_asked(std::string_view names);

/// A connection string per listed host.
std::vector<std::string> hosts_of(const std::string& dsn);

/// The connection string of the primary alone. unavailable as above.
result<std::string> primary_of(const std::string& dsn, pg_terms& terms, std::chrono::milliseconds limit);

/// Connections to all listed hosts, for asking. Not thread-safe; calls block.
class pg_hosts {
 public:
  /// `options`: further settings of the sessions, as in the connection string's own "options".
  explicit pg_hosts(const std::string& dsn, const std::string& options = {});
  ~pg_hosts();
  pg_hosts(const pg_hosts&) = delete;
  pg_hosts& operator=(const pg_hosts&) = delete;

  /// Asks all at once, over connections that are kept. Who has not answered after `limit` is away. Once a primary has
  /// answered the others have `grace` left.
  std::span<const pg_server> look(std::chrono::milliseconds limit, std::chrono::milliseconds grace);
  /// Gives the connection of a server that answered to the caller, idle and blocking.
  pg_conn* release(size_t index);
  const std::string& dsn(size_t index) const { return hosts_[index].dsn; }

 private:
  enum class step : uint8_t { away, connecting, asked, asked_row, told };
  struct host {
    std::string dsn;
    pg_conn* link = nullptr;
    step at = step::away;
    bool writes = false;  // waits until it can send
  };

  void start(size_t index);
  void advance(size_t index);
  void connect_further(size_t index);
  void read(size_t index);
  void ask(size_t index, const char* text, step next);
  void fail(size_t index, const std::string& why);
  bool busy(size_t index) const;
  bool wait(std::chrono::steady_clock::time_point until);

  std::string options_;
  std::vector<host> hosts_;
  std::vector<pg_server> servers_;
};

}  // namespace tern::sql

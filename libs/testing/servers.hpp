// Real database servers for tests and the local cluster, each with its own directory, port and unix socket. No root
// is needed; as root PostgreSQL runs as user postgres, which is how it insists on being run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/testing/process.hpp"
#include "libs/testing/temp_dir.hpp"

namespace tern::testing {

struct postgres_options {
  std::string directory{};              // kept after the end; empty: a temporary one
  uint16_t port = 0;                    // 0: a free one; the same after a restart
  std::vector<std::string> settings{};  // "name=value", as in postgresql.conf
  bool dies_with_us = true;             // see process_options
};

/// The path of "pg_dump", "psql", … of the newest PostgreSQL of this machine.
std::string postgres_program(const std::string& name);

/// One PostgreSQL server: fsync on, trust authentication on its socket and 127.0.0.1, superuser and database "tern".
/// Not thread-safe. The destructor stops it at once.
class postgres_server {
 public:
  /// Makes the data directory when it is not there and starts the server; returns when it takes connections.
  static result<std::unique_ptr<postgres_server>> start(postgres_options how = {});
  /// A standby of `primary`, by streaming replication; `name` is what synchronous_standby_names calls it.
  static result<std::unique_ptr<postgres_server>> standby_of(const postgres_server& primary, const std::string& name,
                                                             postgres_options how = {});
  ~postgres_server();

  /// libpq connection string ("host=… port=… user=… dbname=…") over the unix socket.
  std::string dsn(const std::string& database = "tern") const;
  std::string tcp_dsn(const std::string& database = "tern") const;
  uint16_t port() const noexcept { return how_.port; }
  pid_t pid() const noexcept { return child_.pid(); }

  result<void> create_database(const std::string& name);
  /// Runs SQL by psql: its unaligned output, without headers.
  result<std::string> query(const std::string& sql, const std::string& database = "tern");

  /// Makes a standby a primary; returns when it takes writes.
  result<void> promote();
  /// Clean shutdown: sessions are ended (fast mode).
  void stop();
  /// `immediate` mode: everything ends at once, as after a crash of the server; recovery follows at the next start.
  void stop_immediately();
  /// SIGKILL of all its processes at one moment.
  void kill_hard();
  /// Starts it again after one of the above.
  result<void> restart();
  /// SIGSTOP / SIGCONT of all its processes: connected, but never answering.
  void pause();
  void resume();
  std::string log_file() const;

 private:
  explicit postgres_server(postgres_options how);
  result<void> initialise();
  result<void> launch();
  result<void> wait_until_ready();
  std::vector<pid_t> family() const;
  void end(int signal);

  postgres_options how_;
  std::unique_ptr<temp_dir> scratch_;
  std::filesystem::path home_;  // data/, socket, log
  process child_;
};

struct redis_options {
  std::string directory{};
  uint16_t port = 0;
  std::vector<std::string> arguments{};  // further command line arguments
  bool dies_with_us = true;
};

/// One Redis server without persistence. Not thread-safe. The destructor stops it.
class redis_server {
 public:
  static result<std::unique_ptr<redis_server>> start(redis_options how = {});
  ~redis_server();

  std::string url() const;          // redis://127.0.0.1:PORT
  std::string socket_path() const;  // unix socket
  uint16_t port() const noexcept { return how_.port; }
  pid_t pid() const noexcept { return child_.pid(); }
  void stop();
  void kill_hard();
  /// Starts an empty one on the same port.
  result<void> restart();
  void pause();
  void resume();

 private:
  explicit redis_server(redis_options how);
  result<void> launch();

  redis_options how_;
  std::unique_ptr<temp_dir> scratch_;
  std::filesystem::path home_;
  process child_;
};

}  // namespace tern::testing

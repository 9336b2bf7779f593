#include "libs/testing/servers.hpp"

#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <thread>

namespace tern::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto start_limit = 60s;

process_options as_postgres(bool dies_with_us = true) {
  process_options how;
  how.user = "postgres";
  how.directory = "/";
  how.dies_with_us = dies_with_us;
  return how;
}

void give_to_postgres(const fs::path& path) {
  if (::geteuid() != 0) return;
  if (const passwd* entry = ::getpwnam("postgres"); entry != nullptr) {
    [[maybe_unused]] const int done = ::chown(path.c_str(), entry->pw_uid, entry->pw_gid);
  }
}

/// Parent of a process, from the fourth field of /proc/PID/stat; -1 when it is gone or waits to be reaped.
pid_t parent_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto close = text.rfind(')');  // the name in parentheses may contain anything
  if (close == std::string::npos || close + 4 >= text.size() || text[close + 2] == 'Z') return -1;
  return static_cast<pid_t>(std::strtol(text.c_str() + close + 4, nullptr, 10));
}

/// Sends one PING over a unix socket and looks for the answer.
bool redis_answers(const std::string& path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  char answer[8] = {};
  const bool good = ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                    ::write(fd, "PING\r\n", 6) == 6 && ::read(fd, answer, sizeof answer - 1) >= 5 &&
                    std::strncmp(answer, "+PONG", 5) == 0;
  ::close(fd);
  return good;
}

}  // namespace

/// Debian keeps one directory per version and none of it in PATH; elsewhere PATH has to know.
std::string postgres_program(const std::string& name) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", ignored)) {
    if (fs::exists(version.path() / "bin" / name)) found.push_back(version.path() / "bin" / name);
  }
  if (found.empty()) return name;
  return std::max_element(found.begin(), found.end())->string();
}

postgres_server::postgres_server(postgres_options how) : how_(std::move(how)) {
  if (how_.directory.empty()) {
    scratch_ = std::make_unique<temp_dir>("tern-pg");
    home_ = scratch_->path();
  } else {
    home_ = fs::absolute(how_.directory);
    fs::create_directories(home_);
  }
  give_to_postgres(home_);
  if (how_.port == 0) how_.port = free_port();
}

postgres_server::~postgres_server() { stop_immediately(); }

result<std::unique_ptr<postgres_server>> postgres_server::start(postgres_options how) {
  std::unique_ptr<postgres_server> server{new postgres_server(std::move(how))};
  const bool fresh = !fs::exists(server->home_ / "data" / "PG_VERSION");
  if (fresh) {
    if (auto made = server->initialise(); !made) return made.error();
  }
  if (auto up = server->launch(); !up) return up.error();
  if (fresh) {
    if (auto made = server->create_database("tern"); !made) return made.error();
  }
  return server;
}

result<std::unique_ptr<postgres_server>> postgres_server::standby_of(const postgres_server& primary,
                                                                     const std::string& name, postgres_options how) {
  std::unique_ptr<postgres_server> server{new postgres_server(std::move(how))};
  const auto copied =
      run_program({postgres_program("pg_basebackup"), "-D", (server->home_ / "data").string(), "-R",
                   "--checkpoint=fast", "--no-sync", "-d", primary.tcp_dsn() + " application_name=" + name},
                  as_postgres(), start_limit);
  if (!copied) return copied.error();
  if (auto up = server->launch(); !up) return up.error();
  return server;
}

result<void> postgres_server::promote() {
  auto done = query("select pg_promote(true, 60)", "postgres");
  return done ? result<void>{} : result<void>{done.error()};
}

result<void> postgres_server::initialise() {
  const auto made = run_program({postgres_program("initdb"), "--pgdata", (home_ / "data").string(), "--username",
                                 "tern", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"},
                                as_postgres(), start_limit);
  if (!made) return made.error();
  return {};
}

result<void> postgres_server::launch() {
  std::vector<std::string> arguments{postgres_program("postgres"), "-D", (home_ / "data").string()};
  std::vector<std::string> settings{"listen_addresses=127.0.0.1",
                                    "port=" + std::to_string(how_.port),
                                    "unix_socket_directories=" + home_.string(),
                                    "fsync=on",
                                    "shared_buffers=64MB",
                                    "max_connections=200",
                                    "autovacuum_naptime=10s",
                                    "log_line_prefix=%m [%p] "};
  settings.insert(settings.end(), how_.settings.begin(), how_.settings.end());
  for (const auto& setting : settings) arguments.insert(arguments.end(), {"-c", setting});
  auto how = as_postgres(how_.dies_with_us);
  how.output = log_file();
  auto child = process::start(arguments, how);
  if (!child) return child.error();
  child_ = std::move(*child);
  return wait_until_ready();
}

result<void> postgres_server::wait_until_ready() {
  const auto end = std::chrono::steady_clock::now() + start_limit;
  const std::vector<std::string> ask{postgres_program("pg_isready"), "-q", "-h",      home_.string(), "-p",
                                     std::to_string(how_.port),      "-d", "postgres"};
  while (std::chrono::steady_clock::now() < end) {
    if (!child_.running()) return error{errc::unavailable, "postgres ended at its start, see " + log_file()};
    if (run_program(ask, {}, 10s)) return {};
    std::this_thread::sleep_for(20ms);
  }
  return error{errc::deadline, "postgres did not become ready, see " + log_file()};
}

std::string postgres_server::dsn(const std::string& database) const {
  return "host=" + home_.string() + " port=" + std::to_string(how_.port) + " user=tern dbname=" + database;
}

std::string postgres_server::tcp_dsn(const std::string& database) const {
  return "host=127.0.0.1 port=" + std::to_string(how_.port) + " user=tern dbname=" + database;
}

std::string postgres_server::log_file() const { return (home_ / "postgres.log").string(); }

result<void> postgres_server::create_database(const std::string& name) {
  if (auto done = query("create database \"" + name + "\"", "postgres"); !done) return done.error();
  return {};
}

result<std::string> postgres_server::query(const std::string& sql, const std::string& database) {
  return run_program(
      {postgres_program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", dsn(database), "-c", sql});
}

namespace {

/// Whatever outlives its postmaster holds the shared memory and would make the next start fail; its clients would see
/// their connections end later than the call that ended the server.
void wait_for_end_of(const std::vector<pid_t>& members) {
  for (const pid_t member : members) {
    for (int i = 0; i < 5000 && parent_of(member) >= 0; ++i) std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

void postgres_server::end(int signal) {
  if (!child_.running()) return;
  const auto members = family();
  child_.signal(SIGCONT);
  child_.stop(30s, signal);
  wait_for_end_of(members);
}

void postgres_server::stop() { end(SIGINT); }
void postgres_server::stop_immediately() { end(SIGQUIT); }

void postgres_server::kill_hard() {
  if (!child_.running()) return;
  const auto members = family();
  child_.signal(SIGSTOP);  // so that it starts nothing new in between
  for (const pid_t member : members) ::kill(member, SIGKILL);
  child_.stop(10s, SIGKILL);
  wait_for_end_of(members);
}

result<void> postgres_server::restart() {
  result<void> up;
  for (int attempt = 0; attempt < 20; ++attempt) {  // a dying backend may keep the shared memory a moment longer
    if (up = launch(); up) return up;
    std::this_thread::sleep_for(100ms);
  }
  return up;
}

void postgres_server::pause() {
  child_.signal(SIGSTOP);
  for (const pid_t member : family()) ::kill(member, SIGSTOP);
}

void postgres_server::resume() {
  for (const pid_t member : family()) ::kill(member, SIGCONT);
  child_.signal(SIGCONT);
}

std::vector<pid_t> postgres_server::family() const {
  std::vector<pid_t> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    const auto pid = static_cast<pid_t>(std::strtol(entry.path().filename().c_str(), nullptr, 10));
    if (pid > 0 && parent_of(pid) == child_.pid()) found.push_back(pid);
  }
  return found;
}

redis_server::redis_server(redis_options how) : how_(std::move(how)) {
  if (how_.directory.empty()) {
    scratch_ = std::make_unique<temp_dir>("tern-redis");
    home_ = scratch_->path();
  } else {
    home_ = fs::absolute(how_.directory);
    fs::create_directories(home_);
  }
  if (how_.port == 0) how_.port = free_port();
}

redis_server::~redis_server() { stop(); }

result<std::unique_ptr<redis_server>> redis_server::start(redis_options how) {
  std::unique_ptr<redis_server> server{new redis_server(std::move(how))};
  if (auto up = server->launch(); !up) return up.error();
  return server;
}

result<void> redis_server::launch() {
  std::vector<std::string> arguments{"redis-server",
                                     "--port",
                                     std::to_string(how_.port),
                                     "--bind",
                                     "127.0.0.1",
                                     "--unixsocket",
                                     socket_path(),
                                     "--dir",
                                     home_.string(),
                                     "--save",
                                     "",
                                     "--appendonly",
                                     "no",
                                     "--daemonize",
                                     "no"};
  arguments.insert(arguments.end(), how_.arguments.begin(), how_.arguments.end());
  process_options how;
  how.output = (home_ / "redis.log").string();
  how.dies_with_us = how_.dies_with_us;
  auto child = process::start(arguments, how);
  if (!child) return child.error();
  child_ = std::move(*child);
  const auto end = std::chrono::steady_clock::now() + start_limit;
  while (std::chrono::steady_clock::now() < end) {
    if (!child_.running()) return error{errc::unavailable, "redis-server ended at its start, see " + how.output};
    if (redis_answers(socket_path())) return {};
    std::this_thread::sleep_for(5ms);
  }
  return error{errc::deadline, "redis-server did not become ready"};
}

std::string redis_server::url() const { return "redis://127.0.0.1:" + std::to_string(how_.port); }
std::string redis_server::socket_path() const { return (home_ / "redis.sock").string(); }

void redis_server::stop() {
  child_.signal(SIGCONT);
  if (child_.running()) child_.stop(5s);
}
void redis_server::kill_hard() {
  if (child_.running()) child_.stop(5s, SIGKILL);
}
result<void> redis_server::restart() { return launch(); }
void redis_server::pause() { child_.signal(SIGSTOP); }
void redis_server::resume() { child_.signal(SIGCONT); }

}  // namespace tern::testing

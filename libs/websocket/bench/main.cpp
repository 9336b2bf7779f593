// tern-ws-bench: what the server costs. CPU per echoed message, and resident bytes per idle connection, plain and
// TLS. The server is a process of its own, so that its figures are not the client's. Usage:
//   tern-ws-bench [connections=50] [window=16] [payload=200] [messages=1000000] [idle=10000] [tls_idle=2000]
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "libs/websocket/bench/tls_client.hpp"
#include "libs/websocket/server.hpp"
#include "libs/websocket/testing/certificate.hpp"
#include "libs/websocket/testing/raw_client.hpp"

namespace {

using namespace tern::websocket;
using tern::websocket::testing::raw_client;

/// What a server process tells about itself when asked.
struct figures {
  double cpu_seconds = 0;
  double resident_bytes = 0;
  server_stats stats;
};

figures own_figures() {
  figures now;
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  now.cpu_seconds = seconds(use.ru_utime) + seconds(use.ru_stime);
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    long size = 0;
    long resident = 0;
    if (std::fscanf(file, "%ld %ld", &size, &resident) == 2) {
      now.resident_bytes = static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
    }
    std::fclose(file);
  }
  return now;
}

class echo final : public connection_handler {
 public:
  void on_open(connection&) override {}
  void on_message(connection& self, std::string_view bytes, bool) override { self.send({}, bytes); }
  void on_batch_end(connection&) override {}
  void on_close(connection&, close_reason) override {}
};

/// The server process: writes its port, then its figures for each byte it reads, until the pipe closes.
int serve(const server_options& options, int control, int answers) {
  const auto one = make_server(
      options,
      [](io_thread&, const request&) {
        return upgrade_decision{std::make_unique<echo>(), {}};
      },
      [](io_thread&, const request&, const reply_function& reply) {
        reply({404, "text/plain", "", {}});
      });
  if (!one->listen()) return 1;
  one->start();
  const uint16_t port = one->port();
  if (::write(answers, &port, sizeof port) != sizeof port) return 1;
  char byte = 0;
  while (::read(control, &byte, 1) == 1) {
    auto now = own_figures();
    now.stats = one->stats();
    if (::write(answers, &now, sizeof now) != sizeof now) return 1;
  }
  one->stop();
  return 0;
}

/// A forked server, stopped with the object.
class server_process {
 public:
  explicit server_process(const server_options& options) {
    int control[2];
    int answers[2];
    if (::pipe(control) != 0 || ::pipe(answers) != 0) std::exit(1);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::close(control[1]);
      ::close(answers[0]);
      ::_exit(serve(options, control[0], answers[1]));
    }
    ::close(control[0]);
    ::close(answers[1]);
    control_ = control[1];
    answers_ = answers[0];
    if (::read(answers_, &port_, sizeof port_) != sizeof port_) std::exit(1);
  }
  server_process(const server_process&) = delete;
  ~server_process() {
    ::close(control_);
    ::close(answers_);
    ::waitpid(pid_, nullptr, 0);
  }
  uint16_t port() const { return port_; }
  figures ask() const {
    figures now;
    if (::write(control_, "?", 1) != 1 || ::read(answers_, &now, sizeof now) != sizeof now) std::exit(1);
    return now;
  }
  /// Asks until `count` WebSockets are open.
  figures ask_when_open(size_t count) const {
    figures now = ask();
    while (now.stats.websockets < count) now = ask();
    return now;
  }

 private:
  pid_t pid_ = -1;
  int control_ = -1;
  int answers_ = -1;
  uint16_t port_ = 0;
};

struct settings {
  size_t connections = 50, window = 16, payload = 200, messages = 1'000'000, idle = 10'000, tls_idle = 2'000;
};

// Keeps `window` messages in flight on each connection until `messages` have come back.
void echo_messages(const settings& what, std::vector<raw_client>& clients) {
  const std::string message = testing::frame(2, std::string(what.payload, 'm'));
  const size_t answer = message.size() - 4;  // the same without the mask
  std::string window;
  for (size_t i = 0; i < what.window; ++i) window += message;
  const int poll = ::epoll_create1(0);
  std::map<int, size_t> partial;
  for (auto& one : clients) {
    epoll_event event{EPOLLIN, {.fd = one.fd()}};
    ::epoll_ctl(poll, EPOLL_CTL_ADD, one.fd(), &event);
    one.send(window);
  }
  std::vector<char> buffer(65536);
  epoll_event events[64];
  for (size_t done = 0; done < what.messages;) {
    const int ready = ::epoll_wait(poll, events, 64, 5000);
    if (ready <= 0) std::exit(1);
    for (int i = 0; i < ready; ++i) {
      const int fd = events[i].data.fd;
      const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (n <= 0) std::exit(1);
      size_t& bytes = partial[fd];
      bytes += static_cast<size_t>(n);
      const size_t whole = bytes / answer;
      bytes %= answer;
      done += whole;
      if (whole > 0 && ::send(fd, window.data(), whole * message.size(), 0) < 0) std::exit(1);
    }
  }
  ::close(poll);
}

void measure_echo(const settings& what, const char* name) {
  const server_process server({});
  std::vector<raw_client> clients;
  for (size_t i = 0; i < what.connections; ++i) {
    clients.emplace_back(server.port());
    if (!clients.back().upgrade()) std::exit(1);
  }
  const auto before = server.ask();
  echo_messages(what, clients);
  const auto after = server.ask();
  const auto messages = static_cast<double>(after.stats.messages_in - before.stats.messages_in);
  std::printf(
      "%s: %zu connections, window %zu, %zu bytes: %.0f messages, %.0f ns CPU per message, %.2f messages per read, "
      "%.2f per write\n",
      name, what.connections, what.window, what.payload, messages,
      (after.cpu_seconds - before.cpu_seconds) / messages * 1e9,
      messages / static_cast<double>(after.stats.reads - before.stats.reads),
      messages / static_cast<double>(after.stats.writes - before.stats.writes));
}

void report_idle(const char* name, size_t count, const figures& before, const figures& after) {
  const auto connections = static_cast<double>(count);
  std::printf("%s: %zu connections, %.0f resident bytes each, %.0f us CPU to open one\n", name, count,
              (after.resident_bytes - before.resident_bytes) / connections,
              (after.cpu_seconds - before.cpu_seconds) / connections * 1e6);
}

void measure_idle(size_t count) {
  const server_process server({});
  const auto before = server.ask();
  std::vector<raw_client> clients;
  for (size_t i = 0; i < count; ++i) {
    clients.emplace_back(server.port());
    // A message as well, so that every buffer an idle connection could keep has been used once.
    if (!clients.back().upgrade() || !clients.back().send(testing::frame(2, "hello")) ||
        !clients.back().read_frame().ok) {
      std::exit(1);
    }
  }
  report_idle("idle, plain", count, before, server.ask_when_open(count));
}

void measure_idle_tls(size_t count) {
  const testing::certificate files("localhost");
  server_options options;
  options.tls = true;
  options.certificate_file = files.certificate_file();
  options.private_key_file = files.key_file();
  const server_process server(options);
  const auto before = server.ask();
  std::vector<raw_client> clients;
  const bench::tls_client client;
  for (size_t i = 0; i < count; ++i) {
    clients.emplace_back(server.port());
    if (!client.converse(clients.back().fd(), testing::upgrade_request() + testing::frame(2, "hello"), "hello")) {
      std::exit(1);
    }
  }
  report_idle("idle, TLS", count, before, server.ask_when_open(count));
}

}  // namespace

int main(int argc, char** argv) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  settings what;
  size_t* const all[] = {&what.connections, &what.window, &what.payload, &what.messages, &what.idle, &what.tls_idle};
  for (int i = 1; i < argc && i <= 6; ++i) *all[i - 1] = std::strtoul(argv[i], nullptr, 10);
  measure_echo(what, "echo");
  auto serial = what;
  serial.window = 1;
  serial.messages = what.messages / 10;
  measure_echo(serial, "echo");
  measure_idle(what.idle);
  measure_idle_tls(what.tls_idle);
  return 0;
}

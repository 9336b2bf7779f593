// The relay floor: what the machine's kernel takes to pass a message from one socket to another, with nothing of ours
// in between. The child relays between the two sockets of each pair; the parent keeps one message under way per pair.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "tools/bench/costs.hpp"

namespace tern::bench {
namespace {

using steady = std::chrono::steady_clock;

int listen_any(uint16_t& port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(fd, 4096) != 0) return -1;
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

void no_delay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/// The child: never returns. Sockets 2i and 2i+1 are a pair, in the order they were accepted.
[[noreturn]] void relay(int listener, size_t connections) {
  const int epoll = epoll_create1(0);
  std::vector<int> sockets(connections);
  for (size_t i = 0; i < connections; ++i) {
    sockets[i] = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    no_delay(sockets[i]);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<uint32_t>(i);
    epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[i], &event);
  }
  std::array<epoll_event, 512> events{};
  std::array<char, 65536> buffer{};
  for (;;) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), -1);
    for (int k = 0; k < count; ++k) {
      const auto i = events[static_cast<size_t>(k)].data.u32;
      const auto got = recv(sockets[i], buffer.data(), buffer.size(), 0);
      if (got == 0) _exit(0);
      if (got > 0 && send(sockets[i ^ 1U], buffer.data(), static_cast<size_t>(got), MSG_NOSIGNAL) < 0) _exit(1);
    }
  }
}

}  // namespace

result<report> run_floor(const floor_options& how) {
  const auto connections = how.connections / 2 * 2;
  uint16_t port = 0;
  const int listener = listen_any(port);
  if (listener < 0) return error{errc::unavailable, "floor: cannot listen"};
  const pid_t child = fork();
  if (child < 0) return error{errc::unavailable, "floor: fork failed"};
  if (child == 0) relay(listener, connections);
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<int> sockets(connections);
  std::vector<int64_t> sent_at(connections);
  const std::string message(how.bytes, 'x');
  for (size_t i = 0; i < connections; ++i) {
    sockets[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(sockets[i], reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
      return error{errc::unavailable, "floor: cannot connect"};
    }
    no_delay(sockets[i]);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<uint32_t>(i);
    epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[i], &event);
  }
  report made;
  made.scenario = "relay floor";
  histogram latency;
  uint64_t relayed = 0;
  const watched relay_process{"relay", child, false};
  const double cpu_before = usage_of(relay_process, false).cpu_seconds;
  const auto began = steady::now();
  const auto end = began + std::chrono::duration<double>(how.seconds);
  const auto put = [&](size_t from) {
    sent_at[from ^ 1U] = steady::now().time_since_epoch().count();
    return send(sockets[from], message.data(), message.size(), MSG_NOSIGNAL) > 0;
  };
  bool healthy = true;
  for (size_t i = 0; i < connections; i += 2) healthy = put(i) && healthy;
  std::array<epoll_event, 512> events{};
  std::array<char, 65536> buffer{};
  while (healthy && steady::now() < end) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
    for (int k = 0; k < count; ++k) {
      const auto i = events[static_cast<size_t>(k)].data.u32;
      if (recv(sockets[i], buffer.data(), buffer.size(), MSG_DONTWAIT) <= 0) continue;
      latency.add(steady::now().time_since_epoch().count() - sent_at[i]);
      ++relayed;
      healthy = put(i) && healthy;
    }
  }
  made.seconds = std::chrono::duration<double>(steady::now() - began).count();
  const double cpu = usage_of(relay_process, false).cpu_seconds - cpu_before;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  for (const int fd : sockets) close(fd);
  close(epoll);
  close(listener);
  made.values["messages_per_second"] = static_cast<double>(relayed) / made.seconds;
  made.values["cpu_us_per_message"] = relayed > 0 ? cpu * 1e6 / static_cast<double>(relayed) : 0;
  made.latencies["relay"] = latency;
  return made;
}

}  // namespace tern::bench

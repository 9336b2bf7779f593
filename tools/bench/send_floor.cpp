// The send floor: what the machine's kernel takes to give one message to N sockets, with nothing of ours in between.
// The child owns N sockets and writes to all of them (or to the next group of them) when it is told to; the parent
// receives.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "tools/bench/costs.hpp"

namespace tern::bench {
namespace {

using steady = std::chrono::steady_clock;

/// One binary WebSocket message of `bytes` in all, as a server writes it (RFC 6455, 5.2).
std::string message_of(size_t bytes) {
  std::string head(1, static_cast<char>(0x82));
  const size_t payload = bytes - std::min<size_t>(bytes, bytes < 128 ? 2 : bytes < 65540 ? 4 : 10);
  if (payload < 126) {
    head += static_cast<char>(payload);
  } else {
    const bool wide = payload > 0xffff;
    head += static_cast<char>(wide ? 127 : 126);
    for (int shift = wide ? 56 : 8; shift >= 0; shift -= 8)
      head += static_cast<char>(payload >> static_cast<unsigned>(shift));
  }
  return head + std::string(payload, 'x');
}

/// The child: never returns. A byte on the first socket starts a round.
[[noreturn]] void send_rounds(int listener, size_t connections, size_t group, size_t bytes) {
  std::vector<int> sockets(connections);
  for (int& each : sockets) {
    each = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (each < 0) _exit(1);
    const int one = 1;
    setsockopt(each, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  const auto message = message_of(bytes);
  char start = 0;
  size_t turn = 0;
  while (recv(sockets[0], &start, 1, 0) == 1) {
    for (size_t i = 0; i < group; ++i) {
      if (send(sockets[turn++ % connections], message.data(), message.size(), MSG_NOSIGNAL) < 0) _exit(1);
    }
  }
  _exit(0);
}

size_t group_of(const send_floor_options& how) {
  return how.group == 0 ? how.connections : std::min(how.group, how.connections);
}

/// The sockets of the parent and the process it talks to; ends both.
struct receiver {
  pid_t child = -1;
  int listener = -1;
  int epoll = -1;
  std::vector<int> sockets;

  ~receiver() {
    if (child > 0) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    for (const int each : sockets) close(each);
    if (listener >= 0) close(listener);
    if (epoll >= 0) close(epoll);
  }
  bool start(const send_floor_options& how);
  /// Until the sockets have had so many bytes more; false when that takes too long.
  bool take_round(size_t missing, std::chrono::seconds limit);
};

bool receiver::start(const send_floor_options& how) {
  listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener, 4096) != 0) {
    return false;
  }
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  child = fork();
  if (child == 0) send_rounds(listener, how.connections, group_of(how), how.bytes);
  if (child < 0) return false;
  epoll = epoll_create1(EPOLL_CLOEXEC);
  for (size_t i = 0; i < how.connections; ++i) {
    sockets.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(sockets.back(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<uint32_t>(i);
    epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[i], &event);
  }
  return true;
}

bool receiver::take_round(size_t missing, std::chrono::seconds limit) {
  const auto end = steady::now() + limit;
  std::array<epoll_event, 512> events{};
  std::array<char, 65536> buffer{};
  while (missing > 0 && steady::now() < end) {
    const int count = epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 100);
    for (int k = 0; k < count; ++k) {
      const auto got = recv(sockets[events[static_cast<size_t>(k)].data.u32], buffer.data(), buffer.size(), 0);
      if (got <= 0) return false;
      missing -= static_cast<size_t>(got);
    }
  }
  return missing == 0;
}

}  // namespace

result<report> run_send_floor(const send_floor_options& how) {
  receiver all;
  if (how.connections == 0 || !all.start(how)) return error{errc::unavailable, "send floor: no sockets"};
  const size_t group = group_of(how);
  const size_t round_bytes = group * message_of(how.bytes).size();
  const auto round = [&] {
    const char start = 1;
    return send(all.sockets[0], &start, 1, MSG_NOSIGNAL) == 1 &&
           all.take_round(round_bytes, std::chrono::seconds(10));
  };
  // Every socket once: the first byte of a connection costs more.
  for (size_t warm = 0; warm < how.connections; warm += group) {
    if (!round()) return error{errc::unavailable, "send floor: the first round failed"};
  }
  report made;
  made.scenario = "send floor, " + std::to_string(how.connections) + " sockets";
  histogram last;
  const watched sender{"sender", all.child, false};
  const double cpu_before = usage_of(sender, false).cpu_seconds;
  const auto began = steady::now();
  size_t rounds = 0;
  while (std::chrono::duration<double>(steady::now() - began).count() < how.seconds || rounds < 3) {
    if (how.rate > 0) {
      const auto due = std::chrono::duration<double>(static_cast<double>(rounds) / how.rate);
      std::this_thread::sleep_until(began + std::chrono::duration_cast<steady::duration>(due));
    }
    const auto sent = steady::now();
    if (!round()) return error{errc::unavailable, "send floor: a round failed"};
    last.add((steady::now() - sent).count());
    ++rounds;
  }
  made.seconds = std::chrono::duration<double>(steady::now() - began).count();
  const double cpu = usage_of(sender, false).cpu_seconds - cpu_before;
  made.values["cpu_us_per_recipient"] = cpu * 1e6 / static_cast<double>(rounds * group);
  made.values["rounds"] = static_cast<double>(rounds);
  made.latencies["last_receiver"] = last;
  return made;
}

}  // namespace tern::bench

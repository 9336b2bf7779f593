// The floor of a file transfer: the same pieces, window and acknowledgements through a child process that only passes
// bytes from one socket to the other.
#include "tools/bench/file_floor.hpp"

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
#include <cstring>

#include "tools/bench/costs.hpp"
#include "tools/bench/file_transfer.hpp"

namespace tern::bench {
namespace {

using steady = std::chrono::steady_clock;

constexpr size_t length_bytes = 4;

void no_delay(int fd) {
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/// The child: never returns.
[[noreturn]] void relay(int listener) {
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::array<int, 2> sockets{};
  for (size_t i = 0; i < 2; ++i) {
    sockets[i] = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (sockets[i] < 0) _exit(1);
    no_delay(sockets[i]);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<uint32_t>(i);
    epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[i], &event);
  }
  std::string buffer(256 * 1024, 0);
  std::array<epoll_event, 2> events{};
  for (;;) {
    const int count = epoll_wait(epoll, events.data(), 2, -1);
    for (int k = 0; k < count; ++k) {
      const auto from = events[static_cast<size_t>(k)].data.u32;
      const auto got = recv(sockets[from], buffer.data(), buffer.size(), 0);
      if (got <= 0) _exit(0);
      if (send(sockets[1 - from], buffer.data(), static_cast<size_t>(got), MSG_NOSIGNAL) != got) _exit(1);
    }
  }
}

/// One end: messages with their length before them. The loop's thread only.
class plain_end final : public client::io_target {
 public:
  plain_end(client::loop& loop, const sockaddr_in& to) : loop_(loop) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    open_ = connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    no_delay(fd_);
    loop_.add(fd_, *this);
  }
  ~plain_end() override {
    loop_.remove(fd_);
    close(fd_);
  }
  plain_end(const plain_end&) = delete;
  plain_end& operator=(const plain_end&) = delete;

  bool is_open() const { return open_; }
  std::function<void(std::string_view)> on_message;

  void put(std::string_view message) {
    const auto size = static_cast<uint32_t>(message.size());
    out_.append(reinterpret_cast<const char*>(&size), length_bytes).append(message);
    if (scheduled_) return;
    scheduled_ = true;
    loop_.at_round_end([this] {
      scheduled_ = false;
      flush();
    });
  }

  void on_ready(uint32_t events) override {
    if ((events & EPOLLOUT) != 0) flush();
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) read_all();
  }

 private:
  void flush() {
    while (out_at_ < out_.size()) {
      const auto sent = send(fd_, out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) {
        open_ = open_ && errno == EAGAIN;
        if (out_at_ > out_.size() / 2) {
          out_.erase(0, out_at_);
          out_at_ = 0;
        }
        return;
      }
      out_at_ += static_cast<size_t>(sent);
    }
    out_.clear();
    out_at_ = 0;
  }

  void read_all() {
    for (;;) {
      const auto got = recv(fd_, room_.data(), room_.size(), MSG_DONTWAIT);
      if (got <= 0) {
        open_ = open_ && got < 0 && errno == EAGAIN;
        return;
      }
      in_.append(room_.data(), static_cast<size_t>(got));
      size_t at = 0;
      while (in_.size() - at >= length_bytes) {
        uint32_t size = 0;
        std::memcpy(&size, in_.data() + at, length_bytes);
        if (in_.size() - at - length_bytes < size) break;
        on_message(std::string_view(in_).substr(at + length_bytes, size));
        at += length_bytes + size;
      }
      in_.erase(0, at);
      if (static_cast<size_t>(got) < room_.size()) return;
    }
  }

  client::loop& loop_;
  int fd_ = -1;
  bool open_ = false, scheduled_ = false;
  std::string in_, out_;
  size_t out_at_ = 0;
  std::string room_ = std::string(256 * 1024, 0);
};

struct relay_process {
  pid_t child = -1;
  int listener = -1;
  sockaddr_in address{};

  relay_process() {
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener, 4) != 0)
      return;
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    child = fork();
    if (child == 0) relay(listener);
  }
  ~relay_process() {
    if (child > 0) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    if (listener >= 0) close(listener);
  }
  relay_process(const relay_process&) = delete;
  relay_process& operator=(const relay_process&) = delete;
};

}  // namespace

file_plan plan_of(const stream_file_options& how) {
  file_plan plan;
  plan.total = how.bytes;
  plan.chunk = how.chunk;
  plan.window = std::max<uint64_t>(how.window, plan.ack_every * how.chunk);
  return plan;
}

result<report> run_file_floor(const file_plan& plan) {
  const relay_process between;
  if (between.child < 0) return error{errc::unavailable, "file floor: no relay"};
  client::loop loop;
  plain_end left(loop, between.address);
  plain_end right(loop, between.address);
  file_transfer transfer(
      loop, plan, [&](std::string_view piece) { left.put(piece); }, [&](std::string_view word) { right.put(word); });
  left.on_message = [&](std::string_view message) { transfer.at_sender(message); };
  right.on_message = [&](std::string_view message) { transfer.at_receiver(message); };
  const watched sender{"relay", between.child, false};
  const double cpu_before = usage_of(sender, false).cpu_seconds;
  const auto began = steady::now();
  transfer.start();
  loop.run_until([&] { return transfer.complete() || !left.is_open() || !right.is_open(); }, std::chrono::minutes(5));
  report made;
  made.seconds = std::chrono::duration<double>(steady::now() - began).count();
  if (!transfer.same_digest()) return error{errc::undefined, "file floor: the file did not arrive"};
  made.scenario = "file through a plain relay";
  const double mebibytes = static_cast<double>(plan.total) / (1 << 20);
  made.values["mib_per_second"] = mebibytes / made.seconds;
  made.values["relay_cpu_us_per_mib"] = 1e6 * (usage_of(sender, false).cpu_seconds - cpu_before) / mebibytes;
  return made;
}

}  // namespace tern::bench

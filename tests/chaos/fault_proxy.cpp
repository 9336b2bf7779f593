#include "tests/chaos/fault_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>
#include <future>
#include <map>
#include <random>
#include <string>
#include <utility>

namespace tern::chaos {

using namespace std::chrono_literals;

namespace {

constexpr size_t most_held = 1U << 20U;  // bytes of one way; more are left in the kernel
constexpr size_t chunk_bytes = 16U << 10U;
constexpr auto trickle_every = 10ms;

sockaddr_in to_sockaddr(const client::endpoint& at) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(at.port);
  ::inet_pton(AF_INET, at.host.c_str(), &address.sin_addr);
  return address;
}

/// Closing sends RST instead of FIN.
void close_with_reset(int fd) {
  const linger now{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(fd);
}

void no_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

/// Everything on the loop's thread.
class fault_proxy::state final : public client::io_target {
 public:
  state(fault_proxy& owner, int listener, const client::endpoint& server, uint64_t seed)
      : owner_(owner), listener_(listener), server_(server), random_(seed) {
    owner_.loop_.add(listener_, *this);
  }
  ~state() override {
    reset_all();
    owner_.loop_.remove(listener_);
    ::close(listener_);
  }

  void on_ready(uint32_t) override {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      if (refusing_) {
        close_with_reset(fd);
        continue;
      }
      open(fd);
    }
  }

  void set(const proxy_faults& faults) {
    faults_ = faults;
    for (auto& [number, each] : pairs_) each->draw_cut();
    pump_all();
  }
  void silence(const proxy_silence& ways) {
    silence_ = ways;
    pump_all();
  }
  void refuse(bool on) { refusing_ = on; }
  void reset_all() { pairs_.clear(); }

 private:
  class pair;

  /// One socket of a connection.
  class side final : public client::io_target {
   public:
    side(pair& owner, int socket) : fd(socket), owner_(owner) {}
    void on_ready(uint32_t events) override;

    int fd;
    bool readable = true;
    bool writable = true;

   private:
    pair& owner_;
  };

  /// Bytes under way in one direction.
  struct lane {
    struct piece {
      client::loop::time_point due;
      std::string bytes;
      size_t written = 0;
    };
    std::deque<piece> pieces;
    size_t held = 0;
    client::loop::time_point last_due;
    client::loop::time_point next_trickle;
    bool ended = false;     // the source has sent FIN
    bool finished = false;  // and so have we
    bool timer = false;
  };

  class pair {
   public:
    pair(state& owner, uint64_t number, int client, int server)
        : owner_(owner), number_(number), client_(*this, client), server_(*this, server) {
      owner_.owner_.loop_.add(client, client_);
      owner_.owner_.loop_.add(server, server_);
      draw_cut();
    }
    ~pair() {
      *alive_ = false;
      for (auto* each : {&client_, &server_}) {
        owner_.owner_.loop_.remove(each->fd);
        close_with_reset(each->fd);
      }
    }

    void draw_cut() {
      left_ = UINT64_MAX;
      if (owner_.faults_.cut_within == 0) return;
      left_ = std::uniform_int_distribution<uint64_t>(1, owner_.faults_.cut_within)(owner_.random_);
    }

    /// Moves what may move.
    void pump() {
      if (over_) return;
      if (!move(client_, server_, up_, owner_.silence_.to_server)) return broken();
      if (!move(server_, client_, down_, owner_.silence_.to_client)) return broken();
      if (up_.finished && down_.finished) broken();
    }
    /// It ends with this round.
    void broken() {
      if (!std::exchange(over_, true)) owner_.drop(number_);
    }

   private:
    bool move(side& from, side& to, lane& on, bool silent) { return read(from, on, silent) && write(to, on, silent); }

    bool read(side& from, lane& on, bool silent) {
      std::array<char, chunk_bytes> buffer;
      while (!silent && from.readable && !on.ended && on.held < most_held) {
        const auto got = ::recv(from.fd, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && (errno == EAGAIN || errno == ENOTCONN)) from.readable = false;
        if (got < 0) return errno == EAGAIN || errno == ENOTCONN;
        if (got == 0) {
          on.ended = true;
          return true;
        }
        const auto count = std::min<uint64_t>(static_cast<uint64_t>(got), left_);
        hold(on, std::string(buffer.data(), count));
        left_ -= left_ == UINT64_MAX ? 0 : count;
      }
      return true;
    }

    void hold(lane& on, std::string bytes) {
      const auto& faults = owner_.faults_;
      std::chrono::nanoseconds wait = faults.delay;
      if (faults.jitter > 0ms) wait += owner_.up_to(faults.jitter);
      if (faults.stall_percent > 0 && owner_.percent() <= faults.stall_percent) wait += faults.stall;
      on.last_due = std::max(on.last_due, owner_.owner_.loop_.now() + wait);
      on.held += bytes.size();
      on.pieces.push_back({on.last_due, std::move(bytes), 0});
    }

    bool write(side& to, lane& on, bool silent) {
      const auto now = owner_.owner_.loop_.now();
      const auto trickle = owner_.faults_.trickle_bytes;
      while (!silent && !on.pieces.empty() && to.writable) {
        auto& first = on.pieces.front();
        const auto due = trickle > 0 ? std::max(first.due, on.next_trickle) : first.due;
        if (due > now) {
          wake_at(on, due);
          return true;
        }
        auto count = first.bytes.size() - first.written;
        if (trickle > 0) count = std::min(count, trickle);
        const auto put = ::send(to.fd, first.bytes.data() + first.written, count, MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == ENOTCONN)) to.writable = false;
        if (put < 0) return errno == EAGAIN || errno == ENOTCONN;
        owner_.owner_.bytes_ += static_cast<uint64_t>(put);
        first.written += static_cast<size_t>(put);
        on.held -= static_cast<size_t>(put);
        if (first.written == first.bytes.size()) on.pieces.pop_front();
        if (trickle > 0) on.next_trickle = now + trickle_every;
      }
      if (left_ == 0 && on.pieces.empty()) {
        ++owner_.owner_.cut_;
        return false;
      }
      if (on.ended && on.pieces.empty() && !on.finished) {
        on.finished = true;
        ::shutdown(to.fd, SHUT_WR);
      }
      return true;
    }

    void wake_at(lane& on, client::loop::time_point when) {
      if (on.timer) return;
      on.timer = true;
      owner_.owner_.loop_.at(when, [this, alive = alive_, &on] {
        if (!*alive) return;
        on.timer = false;
        pump();
      });
    }

    state& owner_;
    uint64_t number_;
    side client_;
    side server_;
    lane up_;
    lane down_;
    uint64_t left_ = UINT64_MAX;  // bytes until the cut
    bool over_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  };

  void open(int client) {
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const auto address = to_sockaddr(server_);
    if (server < 0 || (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                       errno != EINPROGRESS)) {
      if (server >= 0) ::close(server);
      return close_with_reset(client);
    }
    no_delay(client);
    no_delay(server);
    ++owner_.accepted_;
    const auto number = next_++;
    pairs_.emplace(number, std::make_unique<pair>(*this, number, client, server));
  }

  /// Not inside a call of the pair: its end comes with the round's.
  void drop(uint64_t number) {
    owner_.loop_.at_round_end([this, number, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) pairs_.erase(number);
    });
  }
  void pump_all() {
    for (auto& [number, each] : pairs_) each->pump();
  }
  int percent() { return std::uniform_int_distribution<int>(1, 100)(random_); }
  std::chrono::nanoseconds up_to(std::chrono::nanoseconds most) {
    return std::chrono::nanoseconds(std::uniform_int_distribution<int64_t>(0, most.count())(random_));
  }

  fault_proxy& owner_;
  int listener_;
  client::endpoint server_;
  std::mt19937_64 random_;
  proxy_faults faults_;
  proxy_silence silence_;
  bool refusing_ = false;
  uint64_t next_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what the loop still calls when we are gone
  std::map<uint64_t, std::unique_ptr<pair>> pairs_;
};

void fault_proxy::state::side::on_ready(uint32_t events) {
  if ((events & EPOLLERR) != 0) return owner_.broken();
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) readable = true;
  if ((events & EPOLLOUT) != 0) writable = true;
  owner_.pump();
}

result<std::unique_ptr<fault_proxy>> fault_proxy::start(const client::endpoint& listen,
                                                        const client::endpoint& server, uint64_t seed) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  auto address = to_sockaddr(listen);
  const int on = 1;
  if (fd >= 0) ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  socklen_t size = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, SOMAXCONN) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    if (fd >= 0) ::close(fd);
    return error{errc::unavailable, "a proxy cannot listen on " + listen.host + ":" + std::to_string(listen.port)};
  }
  std::unique_ptr<fault_proxy> made(new fault_proxy);
  made->listen_ = {listen.host, ntohs(address.sin_port)};
  made->state_ = std::make_unique<state>(*made, fd, server, seed);
  made->thread_ = std::thread([proxy = made.get()] { proxy->loop_.run(); });
  return made;
}

fault_proxy::~fault_proxy() {
  if (!thread_.joinable()) return;
  on_loop([this] { state_.reset(); });
  loop_.stop();
  thread_.join();
}

void fault_proxy::on_loop(const std::function<void()>& work) {
  std::promise<void> done;
  loop_.post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

void fault_proxy::set(const proxy_faults& faults) {
  on_loop([&] { state_->set(faults); });
}

void fault_proxy::silence(const proxy_silence& ways) {
  on_loop([&] { state_->silence(ways); });
}

void fault_proxy::reset_all() {
  on_loop([this] { state_->reset_all(); });
}

void fault_proxy::refuse(bool on) {
  on_loop([&] { state_->refuse(on); });
}

void fault_proxy::heal() {
  refuse(false);
  silence({});
  set({});
}

}  // namespace tern::chaos

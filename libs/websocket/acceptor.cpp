#include "libs/websocket/acceptor.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <cerrno>
#include <cstring>

namespace tern::websocket {
namespace {

using boost::system::error_code;
namespace asio = boost::asio;
using tcp = asio::ip::tcp;

constexpr int max_accepts_per_wakeup = 64;
constexpr uint64_t max_turned_away = 256;  // connections kept a moment for their 503
constexpr std::chrono::milliseconds back_off_time{100};
constexpr std::chrono::milliseconds reopen_time{1000};

error config_error(const server_options& options, const std::string& what) {
  return {errc::config, "listen on " + options.host + " port " + std::to_string(options.port) + ": " + what};
}

peer_address address_of(const sockaddr_storage& from) {
  peer_address peer;
  char text[INET6_ADDRSTRLEN] = "";
  if (from.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(from).sin_addr;
    peer.text = inet_ntop(AF_INET, &v4, text, sizeof text);
    peer.key = v4.s_addr;
    return peer;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(from).sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    peer.text = inet_ntop(AF_INET, v6.s6_addr + 12, text, sizeof text);
    uint32_t v4 = 0;
    std::memcpy(&v4, v6.s6_addr + 12, 4);
    peer.key = v4;
    return peer;
  }
  peer.text = inet_ntop(AF_INET6, &v6, text, sizeof text);
  std::memcpy(&peer.key, v6.s6_addr, 8);  // one subscriber has a /64
  return peer;
}

bool resolve(asio::io_context& context, const server_options& options, tcp::endpoint& found, std::string& why) {
  error_code failed;
  const auto address = asio::ip::make_address(options.host, failed);
  if (!failed) {
    found = {address, options.port};
    return true;
  }
  const auto names = tcp::resolver(context).resolve(options.host, std::to_string(options.port), failed);
  if (failed || names.empty()) {
    why = failed.message();
    return false;
  }
  found = names.begin()->endpoint();
  return true;
}

}  // namespace

acceptor::acceptor(std::shared_ptr<server_state> state, const std::vector<std::shared_ptr<io_thread_impl>>& threads)
    : state_(std::move(state)),
      threads_(threads),
      socket_(threads.front()->context()),
      retry_(threads.front()->context()) {}

result<void> acceptor::listen() {
  const auto& options = state_->options;
  tcp::endpoint endpoint;
  std::string why;
  if (!resolve(threads_.front()->context(), options, endpoint, why)) return config_error(options, why);
  if (port_ != 0) endpoint.port(port_);  // again
  error_code failed;
  socket_.open(endpoint.protocol(), failed);
  if (!failed) socket_.set_option(tcp::acceptor::reuse_address(true), failed);
  if (!failed && endpoint.address().is_v6()) {
    error_code ignored;
    socket_.set_option(asio::ip::v6_only(false), ignored);
  }
  if (!failed) socket_.bind(endpoint, failed);
  if (!failed) socket_.listen(options.backlog, failed);
  if (!failed) socket_.non_blocking(true, failed);
  if (!failed && port_ == 0) port_ = socket_.local_endpoint(failed).port();
  if (failed) return config_error(options, failed.message());
  return {};
}

void acceptor::start() { wait(); }

void acceptor::close() {
  const std::lock_guard lock(close_mutex_);
  if (closed_) return;
  closed_ = true;
  // At once and from any thread; the descriptor itself belongs to the io thread.
  if (socket_.is_open()) ::shutdown(socket_.native_handle(), SHUT_RDWR);
  threads_.front()->post([this] {
    error_code ignored;
    retry_.cancel();
    const std::lock_guard again(close_mutex_);
    socket_.close(ignored);
  });
}

void acceptor::reopen() {
  {
    const std::lock_guard lock(close_mutex_);
    if (!closed_) return;
    closed_ = false;
  }
  threads_.front()->post([this] { open_again(); });
}

void acceptor::open_again() {
  const std::lock_guard lock(close_mutex_);
  if (closed_ || socket_.is_open()) return;
  if (listen()) return wait();
  error_code ignored;
  socket_.close(ignored);
  retry_.expires_after(reopen_time);
  retry_.async_wait([this](const error_code& failed) {
    if (!failed) open_again();
  });
}

void acceptor::wait() {
  socket_.async_wait(tcp::acceptor::wait_read, [this](const error_code& failed) {
    if (failed || !socket_.is_open()) return;
    accept_some();
    threads_.front()->end_of_wakeup();
  });
}

void acceptor::accept_some() {
  for (int i = 0; i < max_accepts_per_wakeup; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    unique_fd fd(
        ::accept4(socket_.native_handle(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.get() >= 0) {
      accepted(std::move(fd), address_of(from));
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) break;
    if (errno == EINVAL || errno == EBADF) return;  // close() was called
    // Out of descriptors or memory: the connection stays in the backlog, and trying again at once would spin.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) return back_off();
    // Else the connection was gone before it was accepted.
  }
  wait();
}

void acceptor::back_off() {
  retry_.expires_after(back_off_time);
  retry_.async_wait([this](const error_code& failed) {
    if (!failed && socket_.is_open()) wait();
  });
}

io_thread_impl& acceptor::least_loaded() const noexcept {
  const auto least = std::min_element(threads_.begin(), threads_.end(),
                                      [](const auto& a, const auto& b) { return a->load() < b->load(); });
  return **least;
}

void acceptor::accepted(unique_fd fd, peer_address address) {
  ++state_->accepted;
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto how = io_thread_impl::welcome::serve;
  if (++state_->open > state_->options.max_connections) {
    --state_->open;
    ++state_->refused_limit;
    // A TLS client could not read the 503 without a handshake that costs more than serving it.
    if (state_->options.tls || state_->turned_away >= max_turned_away) return;
    ++state_->turned_away;
    how = io_thread_impl::welcome::turn_away;
  } else if (!state_->half_open.enter(address.key)) {
    --state_->open;
    ++state_->refused_limit;
    return;
  }
  auto& thread = least_loaded();
  thread.add_load();
  if (thread.index() == 0) return thread.adopt(std::move(fd), std::move(address), how);
  // std::function wants copyable; the descriptor is closed if the thread ends before it runs this.
  auto shared = std::make_shared<unique_fd>(std::move(fd));
  thread.post([&thread, shared, address = std::move(address), how]() mutable {
    thread.adopt(std::move(*shared), std::move(address), how);
  });
}

}  // namespace tern::websocket

#include "libs/app/http_get.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "libs/app/http.hpp"

namespace tern::app {
namespace {

using time_point = std::chrono::steady_clock::time_point;
constexpr size_t most_bytes = 32U << 20U;

class descriptor {
 public:
  explicit descriptor(int number) : number_(number) {}
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

using address_list = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

address_list look_up(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) found = nullptr;
  return {found, &::freeaddrinfo};
}

bool wait(int socket, short what, time_point until) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
  pollfd one{socket, what, 0};
  return ::poll(&one, 1, static_cast<int>(std::max<int64_t>(left, 0))) == 1;
}

http_result failed(reach how, std::string why) { return {how, {}, std::move(why)}; }

/// Of a non-blocking connect; `how` is answered when it stands.
http_result finish_connect(int socket, int started, time_point until) {
  if (started != 0 && errno != EINPROGRESS) return failed(reach::refused, std::strerror(errno));
  if (started != 0 && !wait(socket, POLLOUT, until)) return failed(reach::silent, "no connection in time");
  int problem = 0;
  socklen_t size = sizeof problem;
  ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &problem, &size);
  if (problem != 0) return failed(reach::refused, std::strerror(problem));
  return {reach::answered, {}, {}};
}

http_result connect_to(int socket, const sockaddr* where, socklen_t size, time_point until) {
  return finish_connect(socket, ::connect(socket, where, size), until);
}

http_result exchange(int socket, const std::string& request, time_point until) {
  size_t sent = 0;
  while (sent < request.size()) {
    if (!wait(socket, POLLOUT, until)) return failed(reach::silent, "takes no request");
    const auto count = ::send(socket, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (count < 0) return failed(reach::refused, std::strerror(errno));
    sent += static_cast<size_t>(count);
  }
  std::string all;
  std::array<char, 16384> part{};
  while (all.size() < most_bytes) {
    if (!wait(socket, POLLIN, until)) return failed(reach::silent, "takes connections, but does not answer");
    const auto got = ::recv(socket, part.data(), part.size(), 0);
    if (got < 0) return failed(reach::refused, std::strerror(errno));
    if (got == 0) break;
    all.append(part.data(), static_cast<size_t>(got));
  }
  const auto end = all.find("\r\n\r\n");
  http_result out{reach::answered, {}, {}};
  if (!all.starts_with("HTTP/1.") || end == std::string::npos) return failed(reach::refused, "does not speak HTTP");
  std::from_chars(all.data() + 9, all.data() + std::min<size_t>(12, all.size()), out.answer.status);
  out.answer.body = all.substr(end + 4);
  return out;
}

int open_socket(int family) { return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

/// Connects to the first address that takes it; then does `next` with the socket.
template <class Next>
http_result with_connection(const std::string& address, time_point until, Next next) {
  const auto where = split_address(address);
  if (!where) return failed(reach::no_such_host, where.error().detail);
  const auto found = look_up(where->first, where->second);
  if (!found) return failed(reach::no_such_host, where->first + " is not known");
  http_result last;
  for (const auto* each = found.get(); each != nullptr; each = each->ai_next) {
    const descriptor socket(open_socket(each->ai_family));
    if (socket.get() < 0) return failed(reach::silent, std::strerror(errno));
    last = connect_to(socket.get(), each->ai_addr, each->ai_addrlen, until);
    if (last.how == reach::answered) return next(socket.get());
  }
  return last;
}

http_result try_unix(const std::string& path, time_point until) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.size() >= sizeof where.sun_path) return failed(reach::no_such_host, "the path is too long");
  std::copy(path.begin(), path.end(), where.sun_path);
  const descriptor socket(open_socket(AF_UNIX));
  return connect_to(socket.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where, until);
}

}  // namespace

http_result http_get(const std::string& address, const std::string& path, std::chrono::milliseconds limit) {
  const auto asked = std::chrono::steady_clock::now();
  const auto until = asked + limit;
  auto out = with_connection(address, until, [&](int socket) {
    const auto request = "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: close\r\n\r\n";
    return exchange(socket, request, until);
  });
  out.answer.asked = asked;
  out.answer.answered = std::chrono::steady_clock::now();
  return out;
}

http_result try_connect(const std::string& address, std::chrono::milliseconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  if (address.starts_with("unix:")) return try_unix(address.substr(5), until);
  return with_connection(address, until, [](int) { return http_result{reach::answered, {}, {}}; });
}

std::vector<std::string> resolve(const std::string& address) {
  const auto where = split_address(address);
  if (!where) return {};
  std::vector<std::string> out;
  const auto found = look_up(where->first, where->second);
  for (const auto* each = found.get(); each != nullptr; each = each->ai_next) {
    char host[NI_MAXHOST] = {};
    if (::getnameinfo(each->ai_addr, each->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) continue;
    const std::string text = each->ai_family == AF_INET6 ? "[" + std::string(host) + "]" : std::string(host);
    const auto one = text + ":" + std::to_string(where->second);
    if (std::find(out.begin(), out.end(), one) == out.end()) out.push_back(one);
  }
  return out;
}

}  // namespace tern::app

#include "libs/app/ready_check.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "libs/app/http.hpp"

namespace tern::app {
namespace {

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

std::string loopback_of(const std::string& host) {
  if (host.empty() || host == "0.0.0.0") return "127.0.0.1";
  return host == "::" || host == "[::]" ? "::1" : host;
}

/// Limits connect(), send() and recv() each.
void limit_calls(int socket, std::chrono::milliseconds limit) {
  const timeval most{limit.count() / 1000, limit.count() % 1000 * 1000};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
}

result<std::string> exchange(int socket, const std::string& request) {
  if (::send(socket, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return error{errc::unavailable, "the request could not be sent"};
  }
  constexpr size_t most = 1 << 20;
  std::string answer;
  std::array<char, 4096> part{};
  while (answer.size() < most) {
    const ssize_t got = ::recv(socket, part.data(), part.size(), 0);
    if (got < 0) return error{errc::unavailable, "no answer in time"};
    if (got == 0) break;
    answer.append(part.data(), static_cast<size_t>(got));
  }
  return answer;
}

}  // namespace

result<std::string> ask_ready(const std::string& address, std::chrono::milliseconds limit) {
  const auto where = split_address(address);
  if (!where) return where.error();
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string host = loopback_of(where->first);
  if (::getaddrinfo(host.c_str(), std::to_string(where->second).c_str(), &hints, &found) != 0) {
    return error{errc::unavailable, host + " is no address"};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
  const descriptor socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return error{errc::unavailable, "no socket"};
  limit_calls(socket.get(), limit);
  if (::connect(socket.get(), found->ai_addr, found->ai_addrlen) != 0) {
    return error{errc::unavailable, "nobody listens at " + address};
  }
  auto answer = exchange(socket.get(), "GET /readyz HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
  if (!answer) return answer;
  const auto head_end = answer->find("\r\n\r\n");
  const std::string body = head_end == std::string::npos ? std::string() : answer->substr(head_end + 4);
  if (answer->starts_with("HTTP/1.1 200")) return body;
  return error{errc::unavailable, body.empty() ? "not ready" : body};
}

}  // namespace tern::app

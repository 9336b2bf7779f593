#include "libs/client/connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <random>

#include "libs/base/big_endian.hpp"
#include "libs/wire/frame.hpp"

namespace tern::client {
namespace {

constexpr uint8_t opcode_continuation = 0;
constexpr uint8_t opcode_binary = 2;
constexpr uint8_t opcode_close = 8;
constexpr uint8_t opcode_ping = 9;
constexpr uint8_t opcode_pong = 10;
constexpr size_t read_room = 256 * 1024;
constexpr size_t shrink_above = 64 * 1024;

thread_local std::array<char, read_room> read_buffer;

uint32_t random_u32() {
  thread_local std::minstd_rand random{std::random_device{}()};
  return static_cast<uint32_t>(random()) ^ static_cast<uint32_t>(random() << 15U);
}

/// XORs `bytes` with the 4-byte masking key (RFC 6455, 5.3), eight at a time.
void mask_bytes(char* bytes, size_t size, uint32_t key) {
  const uint64_t wide = static_cast<uint64_t>(key) << 32U | key;
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + at, 8);
    word ^= wide;
    std::memcpy(bytes + at, &word, 8);
  }
  for (; at < size; ++at) bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(key >> (8 * (at & 3U))));
}

sockaddr_in to_address(const endpoint& to) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(to.port);
  inet_pton(AF_INET, to.host.c_str(), &address.sin_addr);
  return address;
}

}  // namespace

std::optional<endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  endpoint to;
  to.host = std::string(text.substr(0, colon));
  const auto port = text.substr(colon + 1);
  const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), to.port);
  in_addr ignored{};
  if (failed != std::errc{} || end != port.data() + port.size() || to.port == 0) return std::nullopt;
  if (inet_pton(AF_INET, to.host.c_str(), &ignored) != 1) return std::nullopt;
  return to;
}

connection::connection(loop& where, const endpoint& to, connection_observer& observer)
    : loop_(where), observer_(observer), mask_(random_u32()), host_(to.host + ":" + std::to_string(to.port)) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const auto address = to_address(to);
  const int one = 1;
  if (fd_ >= 0) setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  const bool failed = fd_ < 0 || (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                                  errno != EINPROGRESS);
  if (failed) {
    const std::string why = std::string("connect: ") + std::strerror(errno);
    loop_.post([this, why, alive = alive_] {
      if (*alive) close_socket(why);
    });
    return;
  }
  loop_.add(fd_, *this);
}

connection::~connection() {
  *alive_ = false;
  if (fd_ >= 0) {
    loop_.remove(fd_);
    ::close(fd_);
  }
}

void connection::on_ready(uint32_t events) {
  if (state_ == state::closed) return;
  if (state_ == state::connecting) {
    int failure = 0;
    socklen_t size = sizeof failure;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &failure, &size);
    if (failure != 0) return close_socket(std::string("connect: ") + std::strerror(failure));
    if ((events & EPOLLOUT) == 0) return;
    start_upgrade();
  }
  if ((events & EPOLLOUT) != 0) flush();
  if (state_ != state::closed && !paused_ && (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    read_all((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  }
}

void connection::start_upgrade() {
  state_ = state::upgrading;
  out_ += "GET /tim HTTP/1.1\r\nHost: " + host_ + "\r\nOrigin: http://" + host_ +
          "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGVybiBsb2FkIGNsaWVudA==\r\n"
          "Sec-WebSocket-Version: 13\r\n\r\n";
}

/// `to_end`: the end of the stream is there or may be; it comes with no event of its own if it came with data.
void connection::read_all(bool to_end) {
  for (;;) {
    const auto got = ::recv(fd_, read_buffer.data(), read_buffer.size(), 0);
    if (got == 0) return close_socket("closed by the server");
    if (got < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      if (errno == EINTR) continue;
      return close_socket(std::string("read: ") + std::strerror(errno));
    }
    const std::string_view fresh(read_buffer.data(), static_cast<size_t>(got));
    const auto alive = alive_;
    if (in_.empty()) {
      const auto used = parse(fresh);
      if (!*alive || state_ == state::closed) return;
      in_.assign(fresh.substr(used));
    } else {
      in_.append(fresh);
      const auto used = parse(in_);
      if (!*alive || state_ == state::closed) return;
      in_.erase(0, used);
      if (in_.empty() && in_.capacity() > shrink_above) std::string().swap(in_);
    }
    if (paused_ || (static_cast<size_t>(got) < read_buffer.size() && !to_end)) return;
  }
}

size_t connection::parse(std::string_view bytes) {
  size_t used = 0;
  if (state_ == state::upgrading) {
    used = parse_upgrade(bytes);
    if (state_ != state::open) return used;
  }
  return used + parse_frames(bytes.substr(used));
}

size_t connection::parse_upgrade(std::string_view bytes) {
  const auto end = bytes.find("\r\n\r\n");
  if (end == std::string_view::npos) return 0;
  if (!bytes.starts_with("HTTP/1.1 101")) {
    close_socket("upgrade refused: " + std::string(bytes.substr(0, bytes.find('\r'))));
    return 0;
  }
  state_ = state::open;
  observer_.on_open(*this);
  return end + 4;
}

size_t connection::parse_frames(std::string_view bytes) {
  size_t at = 0;
  const auto alive = alive_;
  while (*alive && state_ == state::open && bytes.size() - at >= 2) {
    const auto* head = reinterpret_cast<const uint8_t*>(bytes.data()) + at;
    const auto left = bytes.size() - at;
    size_t length = head[1] & 0x7fU;
    size_t head_size = 2;
    if (length == 126) {
      head_size = 4;
      if (left < head_size) break;
      length = static_cast<size_t>(head[2]) << 8U | head[3];
    } else if (length == 127) {
      head_size = 10;
      if (left < head_size) break;
      length = 0;
      for (size_t i = 2; i < 10; ++i) length = length << 8U | head[i];
    }
    if (left < head_size + length) break;
    handle_message(head[0] & 0x0fU, (head[0] & 0x80U) != 0, bytes.substr(at + head_size, length));
    at += head_size + length;
  }
  return at;
}

void connection::handle_message(uint8_t opcode, bool final, std::string_view payload) {
  switch (opcode) {
    case opcode_ping: return put_frame(opcode_pong, {}, payload);
    case opcode_close: {
      std::string why = "close frame";
      if (payload.size() >= 2) {
        why += " " + std::to_string(static_cast<uint8_t>(payload[0]) << 8U | static_cast<uint8_t>(payload[1]));
        why += " " + std::string(payload.substr(2));
      }
      return close_socket(why);
    }
    case opcode_binary:
      if (final) return deliver(payload);
      message_ = payload;
      return;
    case opcode_continuation:
      message_ += payload;
      if (!final) return;
      deliver(message_);
      message_.clear();
      return;
    default: return;
  }
}

void connection::deliver(std::string_view message) {
  if (message.empty()) return;
  frame received;
  const auto first = static_cast<uint8_t>(message[0]);
  received.type = first & 0x7fU;
  received.payload = message.substr(1);
  if ((first & 0x80U) != 0) {
    received.sync_id = wire::parse_sync_id(received.payload.substr(0, 4));
    if (!received.sync_id) return abort("a frame with an acknowledgement bit and no sync id");
    received.payload.remove_prefix(4);
  }
  observer_.on_frame(*this, received);
}

void connection::send(uint8_t first_byte, std::string_view payload) {
  if (state_ != state::open) return;
  const char head = static_cast<char>(first_byte);
  put_frame(opcode_binary, {&head, 1}, payload);
}

void connection::send_ack(int32_t sync_id, bool json) {
  const auto id = static_cast<uint32_t>(sync_id);
  const std::array<char, 4> bytes{static_cast<char>(id >> 24U), static_cast<char>(id >> 16U),
                                  static_cast<char>(id >> 8U), static_cast<char>(id)};
  constexpr auto type = static_cast<uint8_t>(wire::frame_type::ack);
  send(json ? static_cast<uint8_t>(type | 0x80U) : type, {bytes.data(), bytes.size()});
}

void connection::put_frame(uint8_t opcode, std::string_view head, std::string_view payload) {
  const size_t length = head.size() + payload.size();
  out_ += static_cast<char>(0x80U | opcode);
  if (length < 126) {
    out_ += static_cast<char>(0x80U | length);
  } else if (length < 65536) {
    out_ += static_cast<char>(0x80U | 126U);
    out_ += static_cast<char>(length >> 8U);
    out_ += static_cast<char>(length);
  } else {
    out_ += static_cast<char>(0x80U | 127U);
    append_u64(out_, length);
  }
  mask_ = mask_ * 1664525U + 1013904223U;
  std::array<char, 4> key{};
  std::memcpy(key.data(), &mask_, 4);
  out_.append(key.data(), 4);
  const auto start = out_.size();
  out_.append(head).append(payload);
  mask_bytes(out_.data() + start, length, mask_);
  schedule_flush();
}

void connection::schedule_flush() {
  if (flush_scheduled_) return;
  flush_scheduled_ = true;
  loop_.at_round_end([this, alive = alive_] {
    if (!*alive) return;
    flush_scheduled_ = false;
    flush();
  });
}

void connection::flush() {
  while (state_ != state::closed && state_ != state::connecting && out_at_ < out_.size()) {
    const auto sent = ::send(fd_, out_.data() + out_at_, out_.size() - out_at_, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        // A sender that never waits until all is written must not keep what has been.
        if (out_at_ > shrink_above && out_at_ > out_.size() / 2) {
          out_.erase(0, out_at_);
          out_at_ = 0;
        }
        return;
      }
      if (errno == EINTR) continue;
      return close_socket(std::string("write: ") + std::strerror(errno));
    }
    out_at_ += static_cast<size_t>(sent);
  }
  if (out_at_ != out_.size()) return;
  out_at_ = 0;
  if (out_.capacity() > shrink_above) {
    std::string().swap(out_);
  } else {
    out_.clear();
  }
}

void connection::pause_reading(bool paused) {
  const bool resumed = paused_ && !paused;
  paused_ = paused;
  if (!resumed || fd_ < 0) return;
  loop_.post([this, alive = alive_] {
    if (*alive && state_ != state::closed && !paused_) read_all(true);
  });
}

void connection::limit_receive_buffer(int bytes) {
  if (fd_ >= 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

void connection::abort(std::string_view why) { close_socket(why); }

void connection::close_socket(std::string_view why) {
  if (state_ == state::closed) return;
  state_ = state::closed;
  if (fd_ >= 0) {
    loop_.remove(fd_);
    ::close(fd_);
    fd_ = -1;
  }
  observer_.on_closed(*this, why);
}

namespace {

http_reply http_exchange(const endpoint& to, const std::string& request, std::chrono::milliseconds limit) {
  http_reply reply;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return reply;
  timeval wait{};
  wait.tv_sec = limit.count() / 1000;
  wait.tv_usec = limit.count() % 1000 * 1000;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  const auto address = to_address(to);
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    std::array<char, 16384> room{};
    for (;;) {
      const auto got = ::recv(fd, room.data(), room.size(), 0);
      if (got <= 0) break;
      answer.append(room.data(), static_cast<size_t>(got));
    }
  }
  ::close(fd);
  const auto end = answer.find("\r\n\r\n");
  if (end == std::string::npos || answer.size() < 12 || !answer.starts_with("HTTP/1.")) return reply;
  reply.status = std::atoi(answer.c_str() + 9);
  reply.body = answer.substr(end + 4);
  return reply;
}

}  // namespace

http_reply http_post(const endpoint& to, std::string_view path, std::string_view body,
                     std::chrono::milliseconds limit) {
  std::string request = "POST " + std::string(path) + " HTTP/1.1\r\nHost: " + to.host +
                        "\r\nConnection: close\r\nContent-Type: application/octet-stream\r\nContent-Length: " +
                        std::to_string(body.size()) + "\r\n\r\n";
  request.append(body);
  return http_exchange(to, request, limit);
}

http_reply http_get(const endpoint& to, std::string_view path, std::chrono::milliseconds limit) {
  return http_exchange(
      to, "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + to.host + "\r\nConnection: close\r\n\r\n", limit);
}

}  // namespace tern::client

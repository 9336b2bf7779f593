#include "libs/websocket/testing/raw_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace tern::websocket::testing {
namespace {

constexpr unsigned char mask[4] = {0x37, 0xFA, 0x21, 0x3D};

sockaddr_in address(const std::string& text, uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  inet_pton(AF_INET, text.c_str(), &at.sin_addr);
  return at;
}

void append_big_endian(std::string& out, uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xFFU);
}

}  // namespace

std::string client_frame::bytes() const {
  std::string out(1, static_cast<char>(first));
  const unsigned flag = masked ? 0x80U : 0;
  const int form = length_form != 0 ? length_form : payload.size() < 126 ? 0 : payload.size() < 65536 ? 126 : 127;
  out += static_cast<char>(flag | (form == 0 ? static_cast<unsigned>(payload.size()) : static_cast<unsigned>(form)));
  if (form != 0) append_big_endian(out, payload.size(), form == 126 ? 2 : 8);
  if (!masked) return out.append(payload);
  out.append(reinterpret_cast<const char*>(mask), 4);
  for (size_t i = 0; i < payload.size(); ++i) {
    out += static_cast<char>(static_cast<unsigned char>(payload[i]) ^ mask[i % 4]);
  }
  return out;
}

std::string frame(unsigned opcode, std::string_view payload) { return client_frame{0x80U | opcode, payload}.bytes(); }

std::string close_frame(uint16_t code, std::string_view text) {
  std::string payload;
  append_big_endian(payload, code, 2);
  return frame(8, payload.append(text));
}

std::string upgrade_request(std::string_view extra, std::string_view path) {
  return "GET " + std::string(path) +
         " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
         std::string(extra) + "\r\n";
}

uint16_t server_frame::code() const {
  if (opcode() != 8 || payload.size() < 2) return 1005;
  return static_cast<uint16_t>(static_cast<unsigned char>(payload[0]) << 8 | static_cast<unsigned char>(payload[1]));
}

raw_client::raw_client(uint16_t port, const std::string& source) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval wait{5, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!source.empty()) {
    const auto from = address(source, 0);
    ::bind(fd_, reinterpret_cast<const sockaddr*>(&from), sizeof from);
  }
  const auto to = address("127.0.0.1", port);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) ::close(std::exchange(fd_, -1));
}

raw_client::~raw_client() {
  if (fd_ >= 0) ::close(fd_);
}

raw_client::raw_client(raw_client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), kept_(std::move(other.kept_)) {}

bool raw_client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool raw_client::upgrade(std::string_view extra) {
  if (!send(upgrade_request(extra))) return false;
  return read_until("\r\n\r\n").starts_with("HTTP/1.1 101 ");
}

bool raw_client::fill() {
  char buffer[65536];
  const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
  if (n <= 0) return false;
  kept_.append(buffer, static_cast<size_t>(n));
  return true;
}

std::string raw_client::read_until(std::string_view mark) {
  size_t at = 0;
  while ((at = kept_.find(mark)) == std::string::npos) {
    if (!fill()) return std::exchange(kept_, {});
  }
  auto found = kept_.substr(0, at + mark.size());
  kept_.erase(0, found.size());
  return found;
}

std::string raw_client::read_exactly(size_t bytes) {
  while (kept_.size() < bytes) {
    if (!fill()) return std::exchange(kept_, {});
  }
  auto found = kept_.substr(0, bytes);
  kept_.erase(0, bytes);
  return found;
}

std::string raw_client::read_to_end(bool* closed) {
  while (fill()) {
  }
  char byte = 0;
  if (closed != nullptr) *closed = ::recv(fd_, &byte, 1, MSG_DONTWAIT) == 0;
  return std::exchange(kept_, {});
}

server_frame raw_client::read_frame() {
  server_frame got;
  const auto start = read_exactly(2);
  if (start.size() < 2) return got;
  got.first = static_cast<unsigned char>(start[0]);
  size_t length = static_cast<unsigned char>(start[1]);
  if (length >= 126) {
    const auto extended = read_exactly(length == 126 ? 2 : 8);
    length = 0;
    for (const char c : extended) length = length << 8 | static_cast<unsigned char>(c);
  }
  got.payload = read_exactly(length);
  got.ok = got.payload.size() == length;
  return got;
}

int raw_client::read_status(std::string* head, std::string* body) {
  const auto got = read_until("\r\n\r\n");
  if (head != nullptr) *head = got;
  if (!got.starts_with("HTTP/1.1 ")) return 0;
  const size_t length = got.find("Content-Length: ");
  std::string rest;
  if (length != std::string::npos) rest = read_exactly(std::strtoul(got.c_str() + length + 16, nullptr, 10));
  if (body != nullptr) *body = rest;
  return std::atoi(got.c_str() + 9);
}

bool raw_client::at_end() {
  if (!kept_.empty()) return false;
  char byte = 0;
  const ssize_t n = ::recv(fd_, &byte, 1, 0);
  return n == 0 || (n < 0 && errno == ECONNRESET);
}

void raw_client::shut_write() { ::shutdown(fd_, SHUT_WR); }

}  // namespace tern::websocket::testing

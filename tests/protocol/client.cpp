#include "tests/protocol/client.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <utility>

namespace tern::testing {

std::chrono::milliseconds patience_from_environment() {
  const char* text = std::getenv("TERN_TEST_PATIENCE_MS");
  return std::chrono::milliseconds{text == nullptr ? 30000 : std::atoi(text)};
}

namespace {

using steady = std::chrono::steady_clock;

std::chrono::milliseconds left(steady::time_point until) {
  return std::max(std::chrono::milliseconds{0},
                  std::chrono::duration_cast<std::chrono::milliseconds>(until - steady::now()));
}

bool wait_for(int fd, short what, std::chrono::milliseconds wait) {
  pollfd one{fd, what, 0};
  return poll(&one, 1, static_cast<int>(wait.count())) > 0;
}

/// Reads an HTTP head and, as announced by Content-Length, a body. The rest stays in `input`.
http_answer read_answer(raw_socket& socket, std::string& input, bool with_body) {
  http_answer out;
  const auto until = steady::now() + patience;
  size_t end;
  while ((end = input.find("\r\n\r\n")) == std::string::npos) {
    if (!socket.read_some(input, left(until))) return out;
  }
  const std::string head = input.substr(0, end + 2);
  input.erase(0, end + 4);
  std::from_chars(head.data() + 9, head.data() + head.size(), out.status);
  for (size_t at = head.find("\r\n") + 2; at < head.size();) {
    const size_t stop = head.find("\r\n", at);
    const size_t colon = head.find(':', at);
    if (colon < stop) {
      std::string name = head.substr(at, colon - at);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      const size_t value = head.find_first_not_of(' ', colon + 1);
      out.fields[name] = head.substr(value, stop - value);
    }
    at = stop + 2;
  }
  if (!with_body) return out;
  size_t size = 0;
  const std::string& announced = out.fields["content-length"];
  std::from_chars(announced.data(), announced.data() + announced.size(), size);
  while (input.size() < size && socket.read_some(input, left(until))) {
  }
  out.body = input.substr(0, size);
  input.erase(0, size);
  return out;
}

}  // namespace

raw_socket::raw_socket(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) close();
}

raw_socket::~raw_socket() { close(); }

raw_socket::raw_socket(raw_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

void raw_socket::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

bool raw_socket::write(std::string_view bytes) {
  while (!bytes.empty()) {
    if (fd_ < 0 || !wait_for(fd_, POLLOUT, patience)) return false;
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool raw_socket::read_some(std::string& out, std::chrono::milliseconds wait) {
  if (fd_ < 0 || !wait_for(fd_, POLLIN, wait)) return false;
  char buffer[65536];
  const ssize_t got = recv(fd_, buffer, sizeof buffer, 0);
  if (got <= 0) {
    close();
    return false;
  }
  out.append(buffer, static_cast<size_t>(got));
  return true;
}

void raw_socket::shrink_receive_buffer(int bytes) { setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes); }

http_answer http_request(uint16_t port, std::string_view method, std::string_view path, std::string_view body,
                         std::string_view more_fields) {
  raw_socket socket(port);
  std::string head = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n";
  if (method == "POST") head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  head += std::string(more_fields) + "\r\n";
  std::string input;
  if (!socket.write(head + std::string(body))) return {};
  return read_answer(socket, input, method != "HEAD");
}

ws_client::ws_client(uint16_t port, std::string_view more_fields, std::string_view path) : socket_(port) {
  socket_.write("GET " + std::string(path) +
                " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                std::string(more_fields) + "\r\n");
  status_ = read_answer(socket_, input_, false).status;
  if (status_ != 101) ended_ = true;
}

bool ws_client::send_message(uint8_t opcode, std::string_view message) {
  std::string out(1, static_cast<char>(0x80U | opcode));
  if (message.size() < 126) {
    out += static_cast<char>(0x80U | message.size());
  } else if (message.size() < 65536) {
    out += static_cast<char>(0xFE);
    out += static_cast<char>(message.size() >> 8U);
    out += static_cast<char>(message.size() & 0xFFU);
  } else {
    out += static_cast<char>(0xFF);
    for (int shift = 56; shift >= 0; shift -= 8)
      out += static_cast<char>(message.size() >> static_cast<unsigned>(shift));
  }
  out.append(4, '\0');  // a mask of zeros leaves the bytes as they are
  out += message;
  return socket_.write(out);
}

bool ws_client::next_frame(std::chrono::milliseconds wait) {
  const auto until = steady::now() + wait;
  const auto need = [&](size_t bytes) {
    while (input_.size() < bytes) {
      if (!socket_.read_some(input_, left(until))) {
        ended_ = ended_ || !socket_.is_open();
        return false;
      }
    }
    return true;
  };
  if (ended_ || !need(2)) return false;
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(input_[at]); };
  const uint8_t opcode = byte(0) & 0x0FU;
  size_t size = byte(1) & 0x7FU, head = 2;
  if (size >= 126) {
    const size_t width = size == 126 ? 2 : 8;
    if (!need(head + width)) return false;
    size = 0;
    for (size_t i = 0; i < width; ++i) size = size << 8U | byte(head + i);
    head += width;
  }
  if (!need(head + size)) return false;
  std::string payload = input_.substr(head, size);
  input_.erase(0, head + size);
  if (opcode == 8) {
    if (payload.size() >= 2) {
      close_code_ = static_cast<uint16_t>(static_cast<uint8_t>(payload[0]) << 8U | static_cast<uint8_t>(payload[1]));
    }
    send_message(8, payload.substr(0, 2));
    ended_ = true;
  } else if (opcode <= 2) {
    messages_.push_back(std::move(payload));
  }
  return true;
}

std::optional<std::string> ws_client::receive(std::chrono::milliseconds wait) {
  const auto until = steady::now() + wait;
  while (messages_.empty()) {
    if (!next_frame(left(until))) return std::nullopt;
  }
  std::string out = std::move(messages_.front());
  messages_.pop_front();
  return out;
}

std::optional<uint16_t> ws_client::wait_close(std::chrono::milliseconds wait) {
  const auto until = steady::now() + wait;
  while (!ended_ && next_frame(left(until))) {
  }
  return ended_ ? std::optional(close_code_) : std::nullopt;
}

std::string client_frame(wire::frame_type type, wire::encoding enc, std::string_view payload) {
  const auto bit = enc == wire::encoding::json ? 0x80U : 0U;
  return std::string(1, static_cast<char>(static_cast<uint8_t>(type) | bit)) + std::string(payload);
}

bool tim_client::send_bytes(wire::frame_type type, std::string_view payload) {
  return ws_.send(client_frame(type, enc_, payload));
}

bool tim_client::acknowledge(int32_t sync_id) {
  const auto value = static_cast<uint32_t>(sync_id);
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> static_cast<unsigned>(shift));
  return send_bytes(wire::frame_type::ack, bytes);
}

std::optional<server_frame> tim_client::next(std::chrono::milliseconds wait) {
  if (unread_.empty()) return read_frame(wait);
  auto out = std::move(unread_.front());
  unread_.pop_front();
  return out;
}

std::optional<server_frame> tim_client::find(const std::function<bool(const server_frame&)>& wanted,
                                             std::chrono::milliseconds wait) {
  const auto until = steady::now() + wait;
  for (auto it = unread_.begin(); it != unread_.end(); ++it) {
    if (!wanted(*it)) continue;
    auto out = std::move(*it);
    unread_.erase(it);
    return out;
  }
  while (auto frame = read_frame(left(until))) {
    if (wanted(*frame)) return frame;
    unread_.push_back(std::move(*frame));
  }
  return std::nullopt;
}

std::optional<server_frame> tim_client::read_frame(std::chrono::milliseconds wait) {
  auto bytes = ws_.receive(wait);
  if (!bytes || bytes->empty()) return std::nullopt;
  server_frame out;
  const auto first = static_cast<uint8_t>(bytes->front());
  out.type = static_cast<wire::frame_type>(first & 0x7FU);
  size_t head = 1;
  if ((first & 0x80U) != 0 && bytes->size() >= 5) {
    out.sync_id = wire::parse_sync_id(std::string_view(*bytes).substr(1, 4));
    head = 5;
  }
  out.payload = bytes->substr(head);
  if (out.sync_id && auto_ack_) acknowledge(*out.sync_id);
  return out;
}

std::optional<server_frame> tim_client::next(wire::frame_type type, std::chrono::milliseconds wait) {
  const auto until = steady::now() + wait;
  while (auto frame = next(left(until))) {
    if (frame->type == type) return frame;
  }
  return std::nullopt;
}

wire::tim_ack tim_client::next_ack() {
  const auto frame = next(wire::frame_type::ack);
  if (!frame) {
    ADD_FAILURE() << "no ACK came";
    return {};
  }
  return read<wire::tim_ack>(*frame);
}

wire::tim_ack tim_client::login(std::string_view name, std::string_view password, std::string_view domain) {
  wire::tim_auth auth;
  auth.name = name;
  auth.pwd = password;
  if (!domain.empty()) auth.domain = domain;
  return login(auth);
}

wire::tim_ack tim_client::login(const wire::tim_auth& auth) {
  send(wire::frame_type::auth, auth);
  const wire::tim_ack answer = next_ack();
  if (answer.ok && answer.n) node_ = *answer.n;
  return answer;
}

void tim_client::report_bad() { ADD_FAILURE() << "a payload cannot be decoded"; }

account_answer account_call(uint16_t port, wire::frame_type type, wire::encoding enc, std::string_view name,
                            std::string_view password, std::string_view domain) {
  wire::tim_auth auth;
  auth.name = name;
  auth.pwd = password;
  if (!domain.empty()) auth.domain = domain;
  const auto answer = http_request(port, "POST", "/tim2", client_frame(type, enc, wire::encode(enc, auth)));
  account_answer out;
  out.status = answer.status;
  if (answer.body.empty()) return out;
  wire::arena memory;
  const auto ack = wire::decode<wire::tim_ack>(enc, std::string_view(answer.body).substr(1), memory);
  if (!ack) return out;
  out.code = ack->ok ? 0 : ack->error ? ack->error->code.value_or(-1) : -1;
  out.n = std::string(ack->n.value_or(""));
  return out;
}

}  // namespace tern::testing

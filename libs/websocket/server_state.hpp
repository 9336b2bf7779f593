// What the acceptor and all io threads of one server share.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "libs/websocket/server.hpp"
#include "libs/websocket/socket_io.hpp"

namespace tern::websocket {

/// Owner of a file descriptor until somebody releases it.
class unique_fd {
 public:
  explicit unique_fd(int fd = -1) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(other.release()) {}
  unique_fd& operator=(unique_fd&& other) noexcept;
  ~unique_fd();
  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// Who connected: text for the application, key for limits (an IPv4 address, or the /64 of an IPv6 one).
struct peer_address {
  std::string text;
  uint64_t key = 0;
};

/// Counts half-open connections per address. Thread-safe.
class half_open_table {
 public:
  explicit half_open_table(size_t limit) noexcept : limit_(limit) {}
  /// False when this address has its limit of them already.
  bool enter(uint64_t key);
  void leave(uint64_t key);

 private:
  const size_t limit_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, size_t> counts_;
};

/// Shared by shared_ptr, since late replies may outlive the server object.
struct server_state {
  server_state(server_options o, upgrade_function upgrade, request_function request)
      : options(std::move(o)),
        on_upgrade(std::move(upgrade)),
        on_request(std::move(request)),
        half_open(options.max_half_open_per_address) {}

  const server_options options;
  const upgrade_function on_upgrade;
  const request_function on_request;
  half_open_table half_open;
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> open{0};         // against max_connections
  std::atomic<uint64_t> turned_away{0};  // connections that only get their 503 now
  std::atomic<uint64_t> refused_limit{0};
  std::atomic<bool> stopping{false};

  std::shared_ptr<tls_context> tls() const {
    const std::lock_guard lock(tls_mutex_);
    return tls_;
  }
  void set_tls(std::shared_ptr<tls_context> context) {
    const std::lock_guard lock(tls_mutex_);
    tls_ = std::move(context);
  }

 private:
  mutable std::mutex tls_mutex_;
  std::shared_ptr<tls_context> tls_;
};

}  // namespace tern::websocket

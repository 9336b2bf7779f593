#include "libs/websocket/server_state.hpp"

#include <unistd.h>

namespace tern::websocket {

unique_fd& unique_fd::operator=(unique_fd&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

unique_fd::~unique_fd() {
  if (fd_ >= 0) ::close(fd_);
}

bool half_open_table::enter(uint64_t key) {
  const std::lock_guard lock(mutex_);
  auto& count = counts_[key];
  if (count >= limit_) {
    if (count == 0) counts_.erase(key);
    return false;
  }
  ++count;
  return true;
}

void half_open_table::leave(uint64_t key) {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(key);
  if (found != counts_.end() && --found->second == 0) counts_.erase(found);
}

std::string_view to_string(close_reason reason) noexcept {
  switch (reason) {
    case close_reason::client: return "client";
    case close_reason::idle: return "idle";
    case close_reason::auth: return "auth";
    case close_reason::slow_consumer: return "slow_consumer";
    case close_reason::drain: return "drain";
    case close_reason::limit: return "limit";
    case close_reason::protocol: return "protocol";
    case close_reason::error: return "error";
  }
  return "unknown";
}

}  // namespace tern::websocket

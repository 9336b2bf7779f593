// What one viewer has not been able to take yet: whole frames, the newest ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

#include "services/gateway/live/frame.hpp"

namespace tern::gateway::live {

struct queue_limits {
  size_t bytes = 1 << 20;
  uint32_t age_ms = 2000;
};

/// What one connection may have.
struct viewer_limits {
  size_t created = 16;
  size_t subscriptions = 64;
  size_t commands = 64;  // asked and not answered
  queue_limits queue;
};

/// How many frames gave way to newer ones.
struct dropped_frames {
  size_t for_bytes = 0;
  size_t for_age = 0;
};

/// Frames in order; beyond a bound the oldest go, but never the newest one. Times are milliseconds that wrap. Not
/// thread-safe.
class frame_queue {
 public:
  bool empty() const noexcept { return frames_.empty(); }
  size_t size() const noexcept { return frames_.size(); }
  size_t bytes() const noexcept { return bytes_; }

  dropped_frames push(message_ptr message, uint32_t now_ms, const queue_limits& limits) {
    bytes_ += message->size();
    frames_.push_back({std::move(message), now_ms});
    dropped_frames out{0, drop_old(now_ms, limits)};
    while (frames_.size() > 1 && bytes_ > limits.bytes) {
      take();
      ++out.for_bytes;
    }
    return out;
  }
  /// Drops what has waited too long; how many.
  size_t drop_old(uint32_t now_ms, const queue_limits& limits) {
    size_t count = 0;
    while (frames_.size() > 1 &&
           static_cast<int32_t>(now_ms - frames_.front().since_ms) > static_cast<int32_t>(limits.age_ms)) {
      take();
      ++count;
    }
    return count;
  }
  /// The oldest one; there must be one.
  message_ptr take() {
    message_ptr out = std::move(frames_.front().message);
    frames_.pop_front();
    bytes_ -= out->size();
    return out;
  }

 private:
  struct waiting {
    message_ptr message;
    uint32_t since_ms = 0;
  };
  std::deque<waiting> frames_;
  size_t bytes_ = 0;
};

}  // namespace tern::gateway::live

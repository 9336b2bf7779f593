// Counters that one thread writes and any thread reads, without locked instructions.
#pragma once

#include <atomic>
#include <cstdint>

namespace tern::websocket {

/// Written by its io thread only.
class counter {
 public:
  void add(uint64_t n = 1) noexcept { value_.store(get() + n, std::memory_order_relaxed); }
  void sub(uint64_t n = 1) noexcept { value_.store(get() - n, std::memory_order_relaxed); }
  uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

/// What one io thread counts; the server sums them up. See server_stats.
struct thread_counters {
  counter open, half_open, websockets;
  counter received_bytes, sent_bytes, queued_bytes, reads, writes, messages_in, messages_out;
  counter refused_protocol;
};

}  // namespace tern::websocket

// A TCP proxy that does to a link what networks do: delay, stalls as after lost packets, trickle, cuts at any byte,
// silence one way or both ways, resets. Seeded: the same seed and the same bytes give the same faults.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

#include "libs/base/result.hpp"
#include "libs/client/connection.hpp"
#include "libs/client/loop.hpp"

namespace tern::chaos {

/// What happens to bytes. Taken by bytes that arrive from now on, of old and new connections.
struct proxy_faults {
  std::chrono::milliseconds delay{0};   // of everything, each way
  std::chrono::milliseconds jitter{0};  // up to so much more; the order of bytes is kept
  int stall_percent = 0;                // of the chunks read: TCP's pause until a lost packet has been sent again
  std::chrono::milliseconds stall{200};
  size_t trickle_bytes = 0;  // at most so many each 10 ms and way; 0: no limit
  uint64_t cut_within =
      0;  // each connection is reset at a byte drawn from 1 to this one, both ways counted; 0: never
};

/// Which ways carry nothing: the bytes stay where they are, the connection stays open (half-open to one side).
struct proxy_silence {
  bool to_server = false;
  bool to_client = false;
};

/// One listening port in front of one address. Thread-safe; what is asked for is in force when the call returns. Runs
/// on a thread of its own until it is destroyed, which resets all connections.
class fault_proxy {
 public:
  /// Listens on `listen` (port 0: any free one). errc::unavailable when it cannot.
  static result<std::unique_ptr<fault_proxy>> start(const client::endpoint& listen, const client::endpoint& server,
                                                    uint64_t seed);
  ~fault_proxy();
  fault_proxy(const fault_proxy&) = delete;
  fault_proxy& operator=(const fault_proxy&) = delete;

  client::endpoint address() const noexcept { return listen_; }
  void set(const proxy_faults& faults);
  void silence(const proxy_silence& ways);
  /// Resets all connections there are.
  void reset_all();
  /// New connections are reset at once while on.
  void refuse(bool on);
  /// No fault any more; silent connections go on.
  void heal();

  uint64_t accepted() const noexcept { return accepted_; }
  uint64_t cut() const noexcept { return cut_; }
  uint64_t bytes() const noexcept { return bytes_; }

 private:
  class state;

  fault_proxy() = default;
  void on_loop(const std::function<void()>& work);

  client::endpoint listen_;
  client::loop loop_;
  std::unique_ptr<state> state_;
  std::thread thread_;
  std::atomic<uint64_t> accepted_{0};
  std::atomic<uint64_t> cut_{0};
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace tern::chaos

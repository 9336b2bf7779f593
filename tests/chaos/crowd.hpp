// Many clients that are just there: logged in, reading or not, coming back when their connection ends. What they
// notice is counted, not checked; the workload beside them is what the history checker looks at.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/base/result.hpp"
#include "libs/client/terminal.hpp"

namespace tern::chaos {

struct crowd_options {
  std::vector<client::endpoint> gateways;
  size_t accounts = 100;
  size_t terminals_each = 1;   // at most session.device_limit
  bool first_gateway = false;  // all begin at gateways[0]; they come back to any
  bool pairs = false;          // accounts 2k and 2k + 1 are friends, so that talk() has somebody to write to
  std::string prefix = "x";
};

/// Runs on a thread of its own between start() and the end. Thread-safe.
class crowd {
 public:
  explicit crowd(crowd_options how);
  ~crowd();
  crowd(const crowd&) = delete;
  crowd& operator=(const crowd&) = delete;

  /// Registers and logs in everybody. Blocking.
  result<void> start(std::chrono::milliseconds limit);
  size_t terminals() const noexcept { return how_.accounts * how_.terminals_each; }
  size_t online() const noexcept { return online_; }
  /// Connections that ended without our doing.
  size_t dropped() const noexcept { return dropped_; }
  /// True when `count` are on line within `limit`.
  bool wait_online(size_t count, std::chrono::milliseconds limit) const;

  /// Every second account stops reading, with little room in the kernel; the others write texts of `bytes` to them,
  /// so many a second in all, until stop_talk().
  void stall_and_talk(double messages_per_second, size_t bytes);
  void stop_talk();
  /// All connections end at one moment and are made again at once.
  void reconnect_all();

 private:
  class member;
  friend class member;

  result<void> register_all();
  void run_on_loop(const std::function<void()>& work);
  void talk(double carried);

  crowd_options how_;
  client::loop loop_;
  std::vector<client::account> accounts_;
  std::vector<std::unique_ptr<member>> members_;
  std::thread thread_;
  std::atomic<size_t> online_{0};
  std::atomic<size_t> dropped_{0};
  bool ending_ = false;
  bool talking_ = false;
  double rate_ = 0;
  std::string text_;
  size_t next_writer_ = 0;
  int64_t next_id_ = 0;
};

}  // namespace tern::chaos

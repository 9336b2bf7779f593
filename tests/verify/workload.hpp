// Many real clients that chat, reconnect and retry, and write down what they saw for the history checker.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/client/terminal.hpp"
#include "tests/verify/history.hpp"

namespace tern::verify {

struct workload_options {
  std::vector<client::endpoint> gateways;
  size_t accounts = 200;                          // each is a friend of the next two; every fifth has two terminals
  double messages_per_second = 300;               // in all
  std::chrono::milliseconds retry_after{2500};    // no answer: the same id again
  std::chrono::milliseconds stall_after{30'000};  // an op open for so long is a violation
  std::chrono::milliseconds grace{2500};       // an acknowledgement counts when its connection lived on for so long
  size_t rooms = 8;                            // every third admits by a manager only; 0: none
  size_t room_members = 16;                    // who stay; two more come and go
  int room_percent = 15;                       // of the messages go to a room
  int recall_percent = 5;                      // of the messages are taken back; some are burnt by their recipients
  double naps_per_second = 0.5;                // a terminal goes off line for some seconds
  std::chrono::milliseconds room_grace{6000};  // the same for rooms: positions are told and stored in bulk
  std::string prefix = "w";
  uint64_t seed = 1;
};

/// Runs on a thread of its own between start() and finish(). Thread-safe where said.
class workload {
 public:
  explicit workload(workload_options how);
  ~workload();

  /// Registers, logs in, makes friends; then clients start to write. Blocking.
  result<void> start();
  /// Receipts so far. Thread-safe: for "wait until 500 more have come".
  uint64_t receipts() const noexcept { return receipts_; }
  /// Terminals that are logged in now. Thread-safe.
  size_t online() const noexcept { return online_; }
  size_t terminals() const noexcept { return terminal_count_; }
  /// Waits until `more` further receipts have come; false after `limit`.
  bool wait_receipts(uint64_t more, std::chrono::milliseconds limit) const;
  bool wait_all_online(std::chrono::milliseconds limit) const;
  /// Stops writing, waits for open ops and until all members have come or gone, drains all terminals, reads all
  /// histories; ends the clients.
  history finish(std::chrono::milliseconds limit);

 private:
  class person;
  struct shared;

  result<void> register_all();
  result<void> make_friends();
  result<void> make_rooms();
  bool all(const std::function<bool(person&)>& holds);
  /// One round of everybody; `carried` is the fraction of a message left over from the round before. The new one.
  double tick(double carried);
  void move_members();
  void run_on_loop(std::function<void()> work);

  workload_options how_;
  std::unique_ptr<shared> shared_;
  std::vector<std::unique_ptr<person>> people_;
  std::thread thread_;
  std::atomic<uint64_t> receipts_{0};
  std::atomic<size_t> online_{0};
  size_t terminal_count_ = 0;
};

}  // namespace tern::verify

// Child processes of tests and of the local cluster: started without a shell, signalled and awaited by their pid.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::testing {

struct process_options {
  std::string user{};                      // run as this user; ignored unless we are root
  std::string output{};                    // file for stdout and stderr (appended); empty: inherited
  std::string directory{};                 // working directory; empty: ours
  std::vector<std::string> environment{};  // "NAME=value", added to ours
  bool dies_with_us = true;  // SIGKILL when the thread that started it ends: no orphans of crashed tests
};

/// One child. The destructor kills it (SIGKILL) and reaps it, unless detach() was called. Not thread-safe.
class process {
 public:
  process() = default;
  ~process();
  process(process&& other) noexcept;
  process& operator=(process&& other) noexcept;

  /// Starts `arguments[0]` (searched in PATH). errc::unavailable when it cannot be executed.
  static result<process> start(const std::vector<std::string>& arguments, const process_options& how = {});

  pid_t pid() const noexcept { return pid_; }
  bool running();
  void signal(int number) const;
  /// Waits for its end. True when it has ended within `limit`; see exit_code().
  bool wait(std::chrono::milliseconds limit);
  /// 0..255, or 128 + signal; -1 while running or never started.
  int exit_code() const noexcept { return exit_code_; }
  /// SIGTERM (or `number`), then SIGKILL after `limit`; returns the exit code.
  int stop(std::chrono::milliseconds limit, int number = 15);
  /// Gives the child up: it goes on without us.
  pid_t detach() noexcept;

 private:
  explicit process(pid_t pid) : pid_(pid) {}
  void take_status(int status);

  pid_t pid_ = -1;
  int exit_code_ = -1;
};

/// Runs a program to its end. The error's detail has its output's tail; errc::deadline after `limit`.
result<std::string> run_program(const std::vector<std::string>& arguments, const process_options& how = {},
                                std::chrono::milliseconds limit = std::chrono::seconds(60));

/// A free TCP port of 127.0.0.1 that no other process asking here gets until this one has ended; 0: none found.
uint16_t free_port();

}  // namespace tern::testing

// The world of one simulated run: its clock, what happens when, and the machines. One thread, no real time.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "libs/testing/fake_clock.hpp"
#include "tests/sim/dice.hpp"

namespace tern::sim {

class process;
class world;

/// A machine: runs one process of one service at a time, may be stopped (SIGSTOP) and go on, or lose its process.
/// `life` numbers its processes from 1.
class host {
 public:
  host(world& in, std::string named, uint64_t number) : name(std::move(named)), world_(in), number_(number) {}

  const std::string name;
  uint64_t life = 0;
  std::unique_ptr<process> running;

  bool up() const noexcept { return running != nullptr; }
  /// A host is named by the service it is for, and a number.
  bool runs(const char* service) const { return name.starts_with(service); }
  bool paused() const noexcept { return paused_; }
  void pause();
  void resume();
  /// Runs `work` now, or when the machine goes on; never when the process of life `of` is gone by then.
  void run(uint64_t of, std::function<void()> work);
  world& in() noexcept { return world_; }
  /// Of the process that runs now, unique in the run.
  uint64_t incarnation() const noexcept { return incarnation_of(life); }
  uint64_t incarnation_of(uint64_t some_life) const noexcept { return some_life * 1000 + number_; }

 private:
  world& world_;
  const uint64_t number_;
  bool paused_ = false;
  std::vector<std::pair<uint64_t, std::function<void()>>> held_;
};

class world {
 public:
  /// `show`: prints each traced line.
  world(uint64_t seed, bool show);
  ~world();
  world(const world&) = delete;
  world& operator=(const world&) = delete;

  const clock& time() const noexcept { return clock_; }
  /// Since the start of the run.
  duration now() const noexcept { return now_; }
  dice& random() noexcept { return dice_; }

  /// Calls `what` after `delay`; things due at once come in the order of the calls.
  void after(duration delay, std::function<void()> what);
  host& add(const std::string& name);
  host* find(const std::string& name) noexcept;
  std::vector<host*> hosts();
  /// One machine's process does one thing, or the clock moves to what comes next. False: nothing will ever happen.
  bool step();
  /// Until that much time has passed.
  void run_for(duration length);

  /// A line of the trace, printf-like; counted into digest() whether it is shown or not.
  __attribute__((format(printf, 2, 3))) void trace(const char* format, ...);
  bool shown() const noexcept { return show_; }
  /// Of all lines so far: two runs of one seed have the same.
  uint64_t digest() const noexcept { return digest_; }
  uint64_t steps() const noexcept { return steps_; }
  /// Something that must never be; the first ones are kept.
  void violation(std::string what);
  const std::vector<std::string>& violations() const noexcept { return violations_; }

 private:
  struct event {
    duration due;
    uint64_t order;
    std::function<void()> what;
    bool operator<(const event& other) const noexcept {
      return due != other.due ? due > other.due : order > other.order;
    }
  };
  void move_to(duration due);
  bool work_on_some_host();

  testing::fake_clock clock_;
  duration now_{0};
  dice dice_;
  const bool show_;
  uint64_t digest_ = 14695981039346656037ULL;
  uint64_t steps_ = 0, orders_ = 0, at_one_time_ = 0;
  std::priority_queue<event> events_;
  std::vector<std::unique_ptr<host>> hosts_;
  std::vector<std::string> violations_;
};

}  // namespace tern::sim

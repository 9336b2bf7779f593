// How far something that takes a while has come: a bar, a rate and when it will be done. Pure but for show().
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

namespace tern::ctl {

/// What is to be done is counted down from the first value it is told; time is the caller's.
class progress {
 public:
  using clock = std::chrono::steady_clock;
  /// `unit` is what is counted: "slots".
  progress(std::string what, std::string unit, clock::time_point began)
      : what_(std::move(what)), unit_(std::move(unit)), began_(began) {}

  /// `left` of what there was at the first call; `note` is shown at the end of the line.
  void update(uint64_t left, clock::time_point now, std::string note = {});
  /// 0 to 1. All of nothing is 1.
  double part() const;
  /// Per second since the beginning; 0 before anything has moved.
  double rate() const;
  /// Nothing while the rate is not known.
  std::optional<std::chrono::milliseconds> remaining() const;
  uint64_t all() const { return all_; }
  uint64_t left() const { return left_; }
  /// "drain session-1  [##########..........]  50 %  262,144 of 524,288 slots  131,072/s  2.0 s left  note".
  std::string line() const;

 private:
  std::string what_, unit_, note_;
  clock::time_point began_;
  clock::time_point now_{};
  bool known_ = false;
  uint64_t all_ = 0;
  uint64_t left_ = 0;
};

/// Writes texts that replace each other: in place on a terminal, one after the other elsewhere, where a text like
/// the one before is left out.
class screen {
 public:
  screen(std::FILE* out, bool terminal) : out_(out), terminal_(terminal) {}
  void show(const std::string& text);
  /// What comes next stands below.
  void keep() { lines_ = 0; }

 private:
  std::FILE* out_;
  bool terminal_;
  size_t lines_ = 0;
  std::string last_;
};

}  // namespace tern::ctl

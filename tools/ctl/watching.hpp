// Waiting for what was asked for, with a bar; and showing what is, again and again.
#pragma once

#include <functional>
#include <string>

#include "tools/ctl/command.hpp"
#include "tools/ctl/report.hpp"

namespace tern::ctl {

/// What a command waits for.
struct goal {
  std::string what;  // "drain session-1"
  std::string unit;  // "slots"
  uint64_t all = 0;  // how much was left before it was asked for
  /// How much is left; 0 is not enough for the end.
  std::function<uint64_t(const Status&)> left;
  /// It is as it should be.
  std::function<bool(const Status&)> reached;
  /// Why it will never be; empty: it may.
  std::function<std::string(const Status&)> hopeless;
  /// Shown behind the bar; may be empty.
  std::function<std::string(const Status&)> note;
};

/// Until `wanted` is reached; the exit code. The outcome's `done` and `seconds` are set.
int wait_for(session& with, const goal& wanted, outcome& result);

/// One Status in `text` or `json`, or with --watch one after the other until routing cannot be reached.
int show(session& with, const std::function<std::string(const Status&)>& text,
         const std::function<std::string(const Status&)>& json);

}  // namespace tern::ctl

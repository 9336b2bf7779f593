// Structured logging: one JSON object per line (or plain text for a terminal). Light header; spdlog stays inside
// log.cpp.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tern::log {

enum class level : uint8_t { debug, info, warn, error, off };

/// A named value of a log line.
struct field {
  std::string_view key;
  std::variant<std::string_view, int64_t, uint64_t, double, bool> value;
  field(std::string_view k, std::string_view v) : key(k), value(v) {}
  field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  field(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  field(std::string_view k, bool v) : key(k), value(v) {}
  field(std::string_view k, double v) : key(k), value(v) {}
  template <class Int>
  requires std::integral<Int> field(std::string_view k, Int v) : key(k) {
    if constexpr (std::is_signed_v<Int>) {
      value = static_cast<int64_t>(v);
    } else {
      value = static_cast<uint64_t>(v);
    }
  }
};
using fields = std::initializer_list<field>;

struct options {
  level least = level::info;
  bool json = true;
  std::string node;  // on every line
};

/// Sets up the process-wide output (stderr). Call once, before threads start.
void init(const options& how);
/// Writes out what is queued and goes on without a queue: the last call before the process ends.
void shutdown();
/// Lines given up because the queue was full, since the start.
uint64_t dropped() noexcept;
/// The newest lines written since init(), oldest first: at most 2,000 and 512 KiB are kept, whatever became of the
/// output. Thread-safe.
std::vector<std::string> recent();
bool enabled(level at) noexcept;
/// Thread-safe. Never throws or blocks: after init() lines go through a bounded queue whose oldest line is given up
/// when it is full. Strings are escaped and cut so that a line stays within 8 KiB.
void write(level at, std::string_view service, std::string_view message, fields values);

/// A logger that knows its service; cheap to copy.
class logger {
 public:
  explicit logger(std::string_view service) : service_(service) {}
  void debug(std::string_view message, fields values = {}) const { put(level::debug, message, values); }
  void info(std::string_view message, fields values = {}) const { put(level::info, message, values); }
  void warn(std::string_view message, fields values = {}) const { put(level::warn, message, values); }
  void error(std::string_view message, fields values = {}) const { put(level::error, message, values); }

 private:
  void put(level at, std::string_view message, fields values) const {
    if (enabled(at)) write(at, service_, message, values);
  }
  std::string_view service_;  // a literal
};

/// One step of a traced message: {"trace": …, "stage": "commit", …} at info. Does nothing for trace 0.
void trace(uint64_t trace_id, std::string_view service, std::string_view stage, fields values = {});

}  // namespace tern::log

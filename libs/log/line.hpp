// The text of one log line: pure formatting, no I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "libs/log/log.hpp"

namespace tern::log {

/// No line is longer, newline excluded.
inline constexpr size_t line_limit = 8192;

/// What a line says. `trace_id` 0 and empty strings are left out.
struct line {
  int64_t wall_ns = 0;
  level at = level::info;
  std::string_view service;
  std::string_view node;
  std::string_view message;
  uint64_t trace_id = 0;
  std::string_view stage;
};

std::string_view to_string(level at) noexcept;
/// One JSON object (RFC 8259) with ts, level, service, node, msg, then the fields in their order.
std::string format_json(const line& what, fields values);
/// "ts LEVEL service message key=value …" for people.
std::string format_text(const line& what, fields values);

}  // namespace tern::log

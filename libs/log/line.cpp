#include "libs/log/line.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <iterator>

namespace tern::log {
namespace {

/// Room kept for what must follow a string: its closing quote and the object's brace.
constexpr size_t tail_room = 8;
constexpr std::string_view hex_digits = "0123456789abcdef";

/// RFC 3339, UTC, microseconds.
void append_time(std::string& out, int64_t wall_ns) {
  const auto seconds = static_cast<time_t>(wall_ns / 1'000'000'000);
  const auto micros = static_cast<int>(wall_ns / 1000 % 1'000'000);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[48];
  const auto length = ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.", &parts);
  out.append(text, length);
  for (int divisor = 100'000; divisor > 0; divisor /= 10) out += static_cast<char>('0' + micros / divisor % 10);
  out += 'Z';
}

/// Length of the UTF-8 sequence at `text[at]` (RFC 3629), 0 if it is not one.
size_t sequence_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80U) return 1;
  if (lead >= 0xC2U && lead <= 0xDFU) return follows(1) ? 2 : 0;
  if (lead >= 0xE0U && lead <= 0xEFU) {
    if ((lead == 0xE0U && byte(1) < 0xA0U) || (lead == 0xEDU && byte(1) > 0x9FU)) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xF0U && lead <= 0xF4U) {
    if ((lead == 0xF0U && byte(1) < 0x90U) || (lead == 0xF4U && byte(1) > 0x8FU)) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

void append_escape(std::string& out, unsigned char byte) {
  switch (byte) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  out += "\\u00";
  out += hex_digits[byte >> 4U];
  out += hex_digits[byte & 15U];
}

/// Escaped content of a JSON string; bytes that are not UTF-8 become U+FFFD; ends in "…" where the line is full.
void append_escaped(std::string& out, std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    if (out.size() + 6 + 3 + tail_room > line_limit) {
      out += "\xE2\x80\xA6";
      return;
    }
    const size_t length = sequence_length(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      ++at;
    } else if (length == 1 && (byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7F)) {
      append_escape(out, byte);
      ++at;
    } else {
      out.append(text, at, length);
      at += length;
    }
  }
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

template <class Number>
void append_number(std::string& out, Number value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value);
  out.append(text, end.ptr);
}

void append_value(std::string& out, const field& f, bool always_quoted) {
  if (const auto* text = std::get_if<std::string_view>(&f.value)) {
    const bool plain = !always_quoted && !text->empty() && std::none_of(text->begin(), text->end(), [](char c) {
      return c <= ' ' || c == '"' || c > '~';
    });
    return plain ? append_escaped(out, *text) : append_quoted(out, *text);
  }
  if (const auto* number = std::get_if<int64_t>(&f.value)) return append_number(out, *number);
  if (const auto* natural = std::get_if<uint64_t>(&f.value)) return append_number(out, *natural);
  if (const auto* real = std::get_if<double>(&f.value)) {
    if (std::isfinite(*real)) return append_number(out, *real);
    out += "null";
    return;
  }
  out += std::get<bool>(f.value) ? "true" : "false";
}

/// Whether one more field with a number can be added.
bool has_room(const std::string& out, std::string_view key) {
  return out.size() + key.size() * 6 + 48 + tail_room < line_limit;
}

std::string trace_text(uint64_t id) {
  std::string text(16, '0');
  for (size_t i = 16; i-- > 0; id >>= 4U) text[i] = hex_digits[id & 15U];
  return text;
}

/// A field of one of these keys would hide what every line has: it gets an underscore. tools/lint finds such callers.
constexpr std::string_view own_keys[] = {"ts", "level", "service", "node", "msg", "trace", "stage"};

void append_key(std::string& out, std::string_view key) {
  append_escaped(out, key);
  if (std::find(std::begin(own_keys), std::end(own_keys), key) != std::end(own_keys)) out += '_';
}

void append_member(std::string& out, std::string_view key, std::string_view value) {
  out += ",\"";
  out += key;
  out += "\":";
  append_quoted(out, value);
}

}  // namespace

std::string_view to_string(level at) noexcept {
  constexpr std::string_view names[] = {"debug", "info", "warn", "error", "off"};
  return names[static_cast<size_t>(at) % 5];
}

std::string format_json(const line& what, fields values) {
  std::string out;
  out.reserve(256);
  out += "{\"ts\":\"";
  append_time(out, what.wall_ns);
  out += '"';
  append_member(out, "level", to_string(what.at));
  append_member(out, "service", what.service);
  if (!what.node.empty()) append_member(out, "node", what.node);
  append_member(out, "msg", what.message);
  if (what.trace_id != 0) append_member(out, "trace", trace_text(what.trace_id));
  if (!what.stage.empty()) append_member(out, "stage", what.stage);
  for (const auto& f : values) {
    if (!has_room(out, f.key)) break;
    out += ",\"";
    append_key(out, f.key);
    out += "\":";
    append_value(out, f, true);
  }
  out += '}';
  return out;
}

std::string format_text(const line& what, fields values) {
  std::string out;
  out.reserve(256);
  append_time(out, what.wall_ns);
  out += ' ';
  for (const char c : to_string(what.at)) out += static_cast<char>(c - 'a' + 'A');
  out += ' ';
  append_escaped(out, what.service);
  out += ' ';
  append_escaped(out, what.message);
  if (what.trace_id != 0) out += " trace=" + trace_text(what.trace_id);
  if (!what.stage.empty()) out.append(" stage=").append(what.stage);
  for (const auto& f : values) {
    if (!has_room(out, f.key)) break;
    out += ' ';
    append_key(out, f.key);
    out += '=';
    append_value(out, f, false);
  }
  return out;
}

}  // namespace tern::log

#include "libs/wire/json_out.hpp"

#include <charconv>

#include "libs/wire/utf8.hpp"

namespace tern::wire {
namespace {

bool needs_escape(unsigned char byte) noexcept { return byte < 0x20 || byte == '"' || byte == '\\'; }

void escape(unsigned char byte, std::string& out) {
  constexpr std::string_view hex = "0123456789abcdef";
  out.push_back('\\');
  switch (byte) {
    case '"':
    case '\\': out.push_back(static_cast<char>(byte)); return;
    case '\n': out.push_back('n'); return;
    case '\r': out.push_back('r'); return;
    case '\t': out.push_back('t'); return;
    default:
      out.append("u00");
      out.push_back(hex[byte >> 4U]);
      out.push_back(hex[byte & 15U]);
  }
}

/// Length of the start of `text` that can be copied as it is.
size_t plain_length(std::string_view text) noexcept {
  size_t i = 0;
  while (i < text.size()) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      if (needs_escape(byte)) break;
      ++i;
    } else {
      const size_t length = utf8_sequence(text.substr(i));
      if (length == 0) break;
      i += length;
    }
  }
  return i;
}

}  // namespace

void json_string(std::string_view text, std::string& out) {
  out.push_back('"');
  while (!text.empty()) {
    const size_t plain = plain_length(text);
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto byte = static_cast<unsigned char>(text.front());
    if (byte < 0x80) {
      escape(byte, out);
    } else {
      out.append("\xEF\xBF\xBD");
    }
    text.remove_prefix(1);
  }
  out.push_back('"');
}

void json_number(int64_t value, std::string& out) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

}  // namespace tern::wire

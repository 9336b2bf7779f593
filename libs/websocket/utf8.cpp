#include "libs/websocket/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace tern::websocket {
namespace {

bool continuation(unsigned char c) noexcept { return (c & 0xC0U) == 0x80U; }

// Length of the well-formed sequence at p (1..4), 0 if malformed or cut. Table 3-7 of the Unicode standard.
size_t sequence(const unsigned char* p, size_t left) noexcept {
  const unsigned char c = p[0];
  if (c < 0x80) return 1;
  if (c < 0xC2) return 0;
  if (c < 0xE0) return left >= 2 && continuation(p[1]) ? 2 : 0;
  if (c < 0xF0) {
    if (left < 3 || !continuation(p[1]) || !continuation(p[2])) return 0;
    if (c == 0xE0 && p[1] < 0xA0) return 0;
    if (c == 0xED && p[1] > 0x9F) return 0;
    return 3;
  }
  if (c > 0xF4 || left < 4 || !continuation(p[1]) || !continuation(p[2]) || !continuation(p[3])) return 0;
  if (c == 0xF0 && p[1] < 0x90) return 0;
  if (c == 0xF4 && p[1] > 0x8F) return 0;
  return 4;
}

}  // namespace

bool valid_utf8(std::string_view text) noexcept {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  size_t left = text.size();
  while (left > 0) {
    if (left >= 8) {  // most text is ASCII: eight bytes at a time
      uint64_t word = 0;
      std::memcpy(&word, p, 8);
      if ((word & 0x8080808080808080ULL) == 0) {
        p += 8;
        left -= 8;
        continue;
      }
    }
    const size_t n = sequence(p, left);
    if (n == 0) return false;
    p += n;
    left -= n;
  }
  return true;
}

std::string_view utf8_prefix(std::string_view text, size_t bytes) noexcept {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && continuation(static_cast<unsigned char>(text[bytes]))) --bytes;
  return text.substr(0, bytes);
}

}  // namespace tern::websocket

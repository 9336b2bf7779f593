#include "libs/wire/utf8.hpp"

namespace tern::wire {
namespace {

struct lead {
  size_t length;      // of the whole sequence, 0 = no lead byte
  unsigned char low;  // bounds of the second byte (RFC 3629, section 4)
  unsigned char high;
};

constexpr lead lead_of(unsigned char byte) noexcept {
  if (byte < 0x80) return {1, 0, 0};
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

size_t utf8_sequence(std::string_view bytes) noexcept {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const lead first = lead_of(at(0));
  if (first.length <= 1) return first.length;
  if (bytes.size() < first.length || at(1) < first.low || at(1) > first.high) return 0;
  for (size_t i = 2; i < first.length; ++i) {
    if ((at(i) & 0xC0U) != 0x80) return 0;
  }
  return first.length;
}

bool valid_utf8_slow(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const size_t length = utf8_sequence(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

}  // namespace tern::wire

#include "libs/wire/base64.hpp"

#include <array>
#include <cstdint>

namespace tern::wire {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t foreign = 0xFF;

constexpr std::array<uint8_t, 256> make_values() {
  std::array<uint8_t, 256> values{};
  values.fill(foreign);
  for (size_t i = 0; i < alphabet.size(); ++i) values[static_cast<uint8_t>(alphabet[i])] = static_cast<uint8_t>(i);
  return values;
}
constexpr std::array<uint8_t, 256> values = make_values();

}  // namespace

void base64_encode(std::string_view bytes, std::string& out) {
  const size_t start = out.size();
  out.resize(start + (bytes.size() + 2) / 3 * 4);
  char* to = out.data() + start;
  const auto at = [&](size_t i) -> uint32_t { return static_cast<uint8_t>(bytes[i]); };
  const auto digit = [&](uint32_t bits) { *to++ = alphabet[bits & 63U]; };
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t group = at(i) << 16U | at(i + 1) << 8U | at(i + 2);
    digit(group >> 18U);
    digit(group >> 12U);
    digit(group >> 6U);
    digit(group);
  }
  const size_t rest = bytes.size() - i;
  if (rest == 0) return;
  const uint32_t group = at(i) << 16U | (rest == 2 ? at(i + 1) << 8U : 0U);
  digit(group >> 18U);
  digit(group >> 12U);
  if (rest == 2) {
    digit(group >> 6U);
  } else {
    *to++ = '=';
  }
  *to = '=';
}

std::optional<size_t> base64_decode(std::string_view text, char* out) noexcept {
  if (text.size() % 4 != 0) return std::nullopt;
  if (text.empty()) return 0;
  const size_t padding = text.back() != '=' ? 0 : text[text.size() - 2] != '=' ? 1 : 2;
  const size_t digits = text.size() - padding;
  size_t written = 0;
  uint32_t bits = 0;
  unsigned held = 0;
  for (size_t i = 0; i < digits; ++i) {
    const uint8_t value = values[static_cast<uint8_t>(text[i])];
    if (value == foreign) return std::nullopt;
    bits = (bits << 6U | value) & 0xFFFFU;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out[written++] = static_cast<char>(bits >> held);
    }
  }
  if ((bits & ((1U << held) - 1U)) != 0) return std::nullopt;
  return written;
}

}  // namespace tern::wire

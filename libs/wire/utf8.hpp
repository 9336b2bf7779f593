// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tern::wire {

/// Length of the valid sequence at the start of `bytes`, 0 when there is none. `bytes` must not be empty.
size_t utf8_sequence(std::string_view bytes) noexcept;

/// valid_utf8 from the first byte that is not ASCII on.
bool valid_utf8_slow(std::string_view bytes) noexcept;

/// True for valid UTF-8; the empty text is valid. Eight ASCII bytes per step.
inline bool valid_utf8(std::string_view bytes) noexcept {
  const char* at = bytes.data();
  size_t left = bytes.size();
  uint64_t word = 0;
  while (left >= sizeof word) {
    std::memcpy(&word, at, sizeof word);
    if ((word & 0x8080808080808080U) != 0) return valid_utf8_slow({at, left});
    at += sizeof word;
    left -= sizeof word;
  }
  unsigned char any = 0;
  for (size_t i = 0; i < left; ++i) any = static_cast<unsigned char>(any | static_cast<unsigned char>(at[i]));
  return any < 0x80 || valid_utf8_slow({at, left});
}

}  // namespace tern::wire

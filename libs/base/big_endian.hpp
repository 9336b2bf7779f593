// 64-bit numbers as eight bytes, the most significant first: in keys, tokens and names, where bytes sort as numbers
// do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tern {

/// Reads eight bytes from `bytes` on.
inline uint64_t read_u64(const char* bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value = value << 8U | static_cast<uint8_t>(bytes[i]);
  return value;
}

/// Writes eight bytes from `to` on; returns where they end.
inline char* put_u64(char* to, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) *to++ = static_cast<char>(value >> static_cast<unsigned>(shift));
  return to;
}

inline void append_u64(std::string& out, uint64_t value) {
  char bytes[8];
  put_u64(bytes, value);
  out.append(bytes, sizeof bytes);
}

}  // namespace tern

// Decoding what a client sent, with the difference between nonsense and too much.
#pragma once

#include "libs/wire/codec.hpp"

namespace tern::wire {

/// Decodes into a default-constructed `out`. errc::bad_format when the bytes are no T at all, errc::bad_parameter
/// when they are one and only a list or text in it is longer than `limits` allow.
template <class T>
errc decode_bounded(encoding from, std::string_view bytes, arena& memory, T& out, const decode_limits& limits = {}) {
  if (decode_into(from, bytes, memory, out, limits)) return errc::ok;
  decode_limits wide = limits;
  wide.container_items = wide.string_bytes = wide.body_bytes = SIZE_MAX;  // nothing can be longer than `bytes`
  arena scratch;
  T whole;
  return decode_into(from, bytes, scratch, whole, wide) ? errc::bad_parameter : errc::bad_format;
}

}  // namespace tern::wire

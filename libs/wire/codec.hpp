// Encoders and decoders of the TIM structs: Thrift compact (bare struct) and JSON. No I/O, no exceptions, reentrant.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "libs/base/result.hpp"
#include "libs/wire/structs.hpp"

namespace tern::wire {

enum class encoding : uint8_t { thrift, json };

/// Decoders stop with errc::bad_format at any of these; nothing is ever allocated by a declared size.
struct decode_limits {
  size_t depth = 32;             // nested structs, lists, maps
  size_t container_items = 500;  // per list or map
  size_t string_bytes = 4096;    // per string, except message and stream bodies
  size_t body_bytes = 65536;     // dataBinary, dataString, body, map values of `extra`
};

/// Owns what a JSON decoder had to unescape. Views of the decoded struct live as long as it and the input bytes.
class arena {
 public:
  arena();
  ~arena();
  arena(arena&&) noexcept;
  arena& operator=(arena&&) noexcept;
  /// A copy of `bytes` that lives as long as the arena.
  std::string_view keep(std::string_view bytes);
  /// Uninitialised room of `size` bytes that lives as long as the arena.
  char* room(size_t size);
  /// Forgets all; memory of one block is kept for the next use.
  void clear() noexcept;

 private:
  struct blocks;
  std::unique_ptr<blocks> blocks_;  // nothing is allocated until first used
};

/// Decodes one struct that must span all of `bytes`. T is one of the tim_* structs or tid.
/// Errors: errc::bad_format. Unknown fields are skipped; missing required ones are refused.
template <class T>
result<T> decode(encoding from, std::string_view bytes, arena& memory, const decode_limits& limits = {});

/// Appends the encoded struct to `out`.
template <class T>
void encode(encoding to, const T& value, std::string& out);

template <class T>
std::string encode(encoding to, const T& value) {
  std::string out;
  encode(to, value, out);
  return out;
}

}  // namespace tern::wire

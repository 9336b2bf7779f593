// Encoders and decoders of the TIM structs: Thrift compact (bare struct) and JSON. No I/O, no exceptions, reentrant.
#pragma once

#include <cstddef>
#include <cstdint>
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
  size_t json_tokens = 65536;    // names, values and brackets of one JSON text
  bool check_utf8 = true;        // texts must be UTF-8 (JSON always must)
};

/// For bytes the cluster itself has encoded: bounded by their own size only.
inline constexpr decode_limits trusted_limits{.depth = 64,
                                              .container_items = SIZE_MAX,
                                              .string_bytes = SIZE_MAX,
                                              .body_bytes = SIZE_MAX,
                                              .json_tokens = SIZE_MAX,
                                              .check_utf8 = false};

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

/// The same into a default-constructed `out`, which saves moving the struct. What is in `out` after an error is
/// unspecified.
template <class T>
result<void> decode_into(encoding from, std::string_view bytes, arena& memory, T& out,
                         const decode_limits& limits = {});

/// Appends the encoded struct to `out`. JSON output is always valid: bytes that are not UTF-8 become U+FFFD.
template <class T>
void encode(encoding to, const T& value, std::string& out);

template <class T>
std::string encode(encoding to, const T& value) {
  std::string out;
  encode(to, value, out);
  return out;
}

}  // namespace tern::wire

// HTTP/1.1 request heads without I/O (RFC 9112, RFC 9110), strict: what two readers could take differently is
// refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "libs/websocket/server.hpp"

namespace tern::websocket {

struct http_limits {
  size_t max_head_bytes = 8192;
  size_t max_head_fields = 100;
  size_t max_body_bytes = 65536;
};

/// Why a request is refused: the status of the answer and a static text for its body.
struct http_error {
  int status = 400;
  std::string_view text;
};

/// Finds the end of a head that arrives in pieces, looking at each byte once. Bare CR or LF and NUL are errors.
class head_scanner {
 public:
  enum class outcome : uint8_t { more, complete, bad, too_large, uri_too_long };

  /// `bytes` is everything since the end of the last request, also what earlier calls have seen.
  outcome feed(std::string_view bytes, size_t limit) noexcept;
  /// Where the request line starts: one empty line before it is skipped (RFC 9112 2.2).
  size_t begin() const noexcept { return begin_; }
  /// One past the empty line that ends the head; valid after complete.
  size_t end() const noexcept { return scanned_; }
  void reset() noexcept { *this = head_scanner(); }

 private:
  uint32_t scanned_ = 0;
  uint32_t line_ = 0;  // start of the line being scanned
  uint32_t begin_ = 0;
};

/// A parsed head; its views point into the bytes given.
struct http_head {
  request what;           // without body and remote address
  int minor_version = 1;  // HTTP/1.x
  size_t content_length = 0;
  bool keep_alive = true;
  bool expects_continue = false;
};

/// Parses a whole head (request line to empty line inclusive). Nothing on success, else how to refuse it.
std::optional<http_error> parse_head(std::string_view head, const http_limits& limits, http_head& out);

/// ASCII only.
bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// True when one of the comma-separated elements of all fields called `name` is `token`, ignoring case.
bool has_token(const request& what, std::string_view name, std::string_view token) noexcept;

/// How many fields are called `name`.
size_t count_fields(const request& what, std::string_view name) noexcept;

}  // namespace tern::websocket

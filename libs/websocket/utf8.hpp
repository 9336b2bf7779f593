// UTF-8 check of text messages and close reasons (RFC 3629, RFC 6455 8.1).
#pragma once

#include <cstddef>
#include <string_view>

namespace tern::websocket {

/// True when `text` is well-formed UTF-8: no overlong form, no surrogate, nothing above U+10FFFF, no cut sequence.
bool valid_utf8(std::string_view text) noexcept;

/// The longest prefix of well-formed `text` with at most `bytes` bytes that does not cut a code point.
std::string_view utf8_prefix(std::string_view text, size_t bytes) noexcept;

}  // namespace tern::websocket

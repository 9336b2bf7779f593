// Standard base64 with padding (RFC 4648, section 4): how `binary` fields look in JSON.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tern::wire {

/// Appends the base64 form of `bytes`.
void base64_encode(std::string_view bytes, std::string& out);

/// Bytes a valid text of this size holds at most.
constexpr size_t base64_decoded_size(size_t text_size) noexcept { return text_size / 4 * 3; }

/// Decodes into `out`, which has room for base64_decoded_size(text.size()); returns how many bytes were written.
/// Nothing for a foreign character, missing padding or bits set behind the last byte: one value has one text.
std::optional<size_t> base64_decode(std::string_view text, char* out) noexcept;

}  // namespace tern::wire

// SHA-256, HMAC-SHA-256 and a comparison whose time does not depend on the contents.
#pragma once

#include <string>
#include <string_view>

namespace tern::crypto {

inline constexpr size_t sha256_size = 32;

/// FIPS 180-4; 32 raw bytes. Thread-safe, as everything in this library.
std::string sha256(std::string_view data);

/// RFC 2104 over SHA-256; 32 raw bytes. The key may have any length.
std::string hmac_sha256(std::string_view key, std::string_view data);

/// Equal in length and bytes; takes the same time wherever the first difference is (the length is no secret).
bool equal_constant_time(std::string_view a, std::string_view b) noexcept;

}  // namespace tern::crypto

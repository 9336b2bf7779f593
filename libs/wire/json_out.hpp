// Writing JSON values (RFC 8259).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tern::wire {

/// Appends a quoted string. Bytes that are not UTF-8 become U+FFFD, one for each byte.
void json_string(std::string_view text, std::string& out);

/// Appends a number.
void json_number(int64_t value, std::string& out);

}  // namespace tern::wire

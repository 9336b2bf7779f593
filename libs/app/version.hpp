// What was built.
#pragma once

#include <string_view>

namespace tern::app {

std::string_view version() noexcept;     // "0.1.0"
std::string_view commit() noexcept;      // short hash at configuration time, "unknown" outside of a clone
std::string_view build_type() noexcept;  // "Release"

}  // namespace tern::app

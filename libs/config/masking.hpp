// Passwords in texts.
#pragma once

#include <string>

namespace tern::config {

/// `text` with passwords in libpq strings and URLs replaced by ***.
std::string without_passwords(std::string text);

}  // namespace tern::config

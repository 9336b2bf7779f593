// Secrets in files.
#pragma once

#include <string>

#include "libs/base/result.hpp"

namespace tern::config {

/// Content of a regular file of at most 64 KiB that only its owner can access, without trailing newlines.
/// errc::config with the reason otherwise, also when it is empty.
result<std::string> read_secret_file(const std::string& path);

}  // namespace tern::config

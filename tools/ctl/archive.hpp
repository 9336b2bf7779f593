// A .tar.gz in memory (POSIX ustar, RFC 1952).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::ctl {

/// Files in the given order, mode 0600, all below `directory`. Paths of at most 100 characters; errc::internal for
/// longer ones. `now`: seconds since 1970.
result<std::string> tar_gz(const std::string& directory,
                           const std::vector<std::pair<std::string, std::string>>& files, int64_t now);

}  // namespace tern::ctl

// A history as text, one event per line that begins with its time, to be sorted and searched by people.
#pragma once

#include <string>

#include "tests/verify/history.hpp"

namespace tern::verify {

/// False when the file cannot be written.
bool dump(const history& seen, const std::string& path);

}  // namespace tern::verify

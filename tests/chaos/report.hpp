// The table of a chaos run, for people.
#pragma once

#include <string>
#include <vector>

#include "tests/chaos/stage.hpp"

namespace tern::chaos {

/// One line while the run goes on.
std::string summary(const row& one);
/// The page docs/chaos.md. `build` and `remarks` are for its head.
std::string page(const std::vector<row>& rows, const scale& size, const std::string& build,
                 const std::string& remarks);

}  // namespace tern::chaos

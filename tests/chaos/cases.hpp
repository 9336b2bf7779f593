// The cases by kind.
#pragma once

#include <vector>

#include "tests/chaos/stage.hpp"

namespace tern::chaos {

std::vector<chaos_case> process_cases();  // cases.cpp
std::vector<chaos_case> link_cases();     // cases_links.cpp

}  // namespace tern::chaos

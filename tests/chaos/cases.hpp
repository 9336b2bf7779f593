// The cases by kind.
#pragma once

#include <vector>

#include "tests/chaos/stage.hpp"

namespace tern::chaos {

std::vector<chaos_case> process_cases();   // cases.cpp
std::vector<chaos_case> link_cases();      // cases_links.cpp
std::vector<chaos_case> database_cases();  // cases_databases.cpp
std::vector<chaos_case> shard_cases();     // cases_shards.cpp

/// File systems that the calling thread and its children mount from here go with them; to be called before there are
/// threads. errc::unavailable with the reason where that is not allowed.
result<void> leave_for_private_mounts();

}  // namespace tern::chaos

// The doctor's findings for people and for programs. Pure.
#pragma once

#include <string>
#include <vector>

#include "tools/ctl/doctor/checks.hpp"

namespace tern::ctl {

/// One line per check, what is wrong with what to do below it, then the causes.
std::string doctor_text(const std::vector<finding>& all);
/// One object on one line: level, causes, checks.
std::string doctor_json(const std::vector<finding>& all);

}  // namespace tern::ctl

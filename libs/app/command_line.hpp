// The command line of every program, and its --help.
#pragma once

#include <string>
#include <vector>

#include "libs/app/main.hpp"
#include "libs/base/result.hpp"

namespace tern::app {

enum class action : uint8_t { run, help, version, print_config, reference, health };

/// What was asked for.
struct command_line {
  action what = action::run;
  std::vector<std::string> files;        // --config, in order; later ones win
  std::vector<std::string> assignments;  // --set, and aliases in their long form
  std::string reference_part = "all";    // all, common, services, program
};

/// errc::config names the flag that was not understood and, if one is near, the one that was meant.
result<command_line> parse_command_line(const std::vector<std::string>& arguments, const program& what);

/// --help: flags, then every option of `all` with type and default, grouped by its first word.
std::string help_text(const program& what, const config::schema& all);

}  // namespace tern::app

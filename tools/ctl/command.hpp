// What a command is, and the table of all of them. A group of commands is a file in commands/ that gives its list.
#pragma once

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tools/ctl/arguments.hpp"
#include "tools/ctl/control_client.hpp"
#include "tools/ctl/progress.hpp"
#include "tools/ctl/settings.hpp"

namespace tern::ctl {

inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;       // refused, or it did not work
inline constexpr int exit_usage = 2;        // command line or configuration
inline constexpr int exit_unreachable = 3;  // no routing replica leads, or none answers

/// What a running command works with.
struct session {
  settings how;
  arguments given;  // `words` without the command's own
  std::unique_ptr<control_client> routing;
  std::FILE* out = stdout;
  bool terminal = false;

  /// Says why on standard error; the exit code that goes with it.
  int fail(const error& why) const;
  /// A refusal of routing's; exit_done when it is none.
  int refused(const routing::v1::ControlReply& reply) const;
  /// A line, or several, for people or programs.
  void say(const std::string& text) const;
};

struct command {
  std::string words;     // "cluster status"
  std::string operands;  // "FIRST-LAST NODE", for the usage line
  std::string summary;   // one line
  std::string details;   // for --help; lines
  std::vector<flag> flags;
  size_t least = 0, most = 0;  // operands
  int (*run)(session&) = nullptr;
};

/// commands/cluster.cpp, commands/moves.cpp
std::vector<command> cluster_commands();
std::vector<command> move_commands();
/// commands/shards.cpp
std::vector<command> shard_commands();
/// commands/account.cpp
std::vector<command> account_commands();
/// commands/diagnosis.cpp
std::vector<command> diagnosis_commands();

/// All, in the order of --help.
const std::vector<command>& all_commands();

/// The whole program but for its process: finds the command, checks the command line, runs it.
int run(const std::vector<std::string>& texts, char** environment);

}  // namespace tern::ctl

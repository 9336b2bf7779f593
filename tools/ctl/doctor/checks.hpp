// What is wrong, what of that is the cause, and what only follows from it. Pure.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "tools/ctl/doctor/observations.hpp"

namespace tern::ctl {

enum class severity : uint8_t { ok, warn, broken };

/// One line of the doctor's report.
struct finding {
  std::string check;  // "process", "certificate", …: docs/ternctl.md lists them
  severity level = severity::ok;
  std::string subject;  // who: a node, "shard shard-1", "redis", "routing"
  std::string text;
  std::string advice;
  std::string because;  // subject of the cause; empty: it is one itself

  int rank = 0;                    // causes have a lower one than what follows from them
  std::set<std::string> concerns;  // what it is about: it follows from whatever breaks one of these
  std::set<std::string> breaks;
};

/// All of it, what is well included, with `because` filled in. Order: by check.
std::vector<finding> examine(const observations& seen);

/// Subjects of the findings that are broken and follow from nothing else, each once.
std::vector<std::string> causes_of(const std::vector<finding>& all);
severity worst_of(const std::vector<finding>& all);

}  // namespace tern::ctl

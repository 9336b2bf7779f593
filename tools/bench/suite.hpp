// The suite behind `make bench`: all scenarios on ternd and on a local cluster, written up as docs/benchmarks.md.
#pragma once

#include <string>
#include <vector>

#include "libs/base/result.hpp"

namespace tern::bench {

struct suite_options {
  std::string binaries;  // where ternd and the others are; empty: where this program is
  std::string out = "docs/benchmarks.md";
  std::string json;    // also as JSON, to this file
  std::string commit;  // for the report; empty: as git says
  double seconds = 8;  // of each measured chat run
  size_t idle_connections = 4000;
  std::vector<std::string> only{};  // parts to run: idle chat room stream ping growth overload relay codec; none: all
  bool quick = false;               // a smoke run: a second each, few connections
};

result<void> run_suite(const suite_options& how);

/// Whether `name` is a part of the suite.
bool is_suite_part(const std::string& name);

}  // namespace tern::bench

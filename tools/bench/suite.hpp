// The suite behind `make bench`: all scenarios on ternd and on a local cluster, written up as docs/benchmarks.md.
#pragma once

#include <string>

#include "libs/base/result.hpp"

namespace tern::bench {

struct suite_options {
  std::string binaries;  // where ternd and the others are
  std::string out = "docs/benchmarks.md";
  std::string json;    // also as JSON, to this file
  std::string commit;  // for the report
  double seconds = 8;  // of each measured chat run
  size_t idle_connections = 4000;
  bool quick = false;  // a smoke run: a second each, few connections
};

result<void> run_suite(const suite_options& how);

}  // namespace tern::bench

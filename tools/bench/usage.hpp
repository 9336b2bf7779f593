// CPU time and memory of processes, read from /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace tern::bench {

struct usage {
  double cpu_seconds = 0;  // user + system, of the process and the children it has waited for
  uint64_t rss_bytes = 0;
  uint64_t pss_bytes = 0;  // proportional: shared pages divided by their users
};

/// A name and the processes behind it ("postgres-0": the server and its backends).
struct watched {
  std::string name;
  pid_t pid = 0;
  bool with_children = false;  // also all descendants
};

usage usage_of(const watched& what, bool with_memory);
/// By name, CPU only unless asked.
std::map<std::string, usage> usage_of_all(const std::vector<watched>& all, bool with_memory);
usage own_usage();

/// "AMD EPYC …, 2 cores, 24 GiB" and "Linux 6.1" for reports.
std::string machine_description();
std::string kernel_description();

}  // namespace tern::bench

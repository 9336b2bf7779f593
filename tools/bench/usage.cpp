#include "tools/bench/usage.hpp"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace tern::bench {
namespace {

struct process_stat {
  pid_t parent = 0;
  double cpu_seconds = 0;
};

/// Fields of /proc/PID/stat behind the command, which may contain anything.
process_stat read_stat(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(in, line);
  const auto end = line.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream rest(line.substr(end + 2));
  std::vector<std::string> fields;
  for (std::string field; rest >> field;) fields.push_back(field);
  if (fields.size() < 15) return {};
  process_stat stat;
  stat.parent = static_cast<pid_t>(std::stol(fields[1]));
  const double ticks = std::stod(fields[11]) + std::stod(fields[12]) + std::stod(fields[13]) + std::stod(fields[14]);
  stat.cpu_seconds = ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  return stat;
}

void add_memory(pid_t pid, usage& total) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string key;
    uint64_t kilobytes = 0;
    words >> key >> kilobytes;
    if (key == "Rss:") total.rss_bytes += kilobytes * 1024;
    if (key == "Pss:") total.pss_bytes += kilobytes * 1024;
  }
}

std::vector<pid_t> family_of(pid_t root) {
  std::vector<pid_t> all{root};
  std::vector<std::pair<pid_t, pid_t>> parents;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) continue;
    const auto pid = static_cast<pid_t>(std::stol(name));
    parents.emplace_back(pid, read_stat(pid).parent);
  }
  for (size_t i = 0; i < all.size(); ++i) {
    for (const auto& [pid, parent] : parents) {
      if (parent == all[i]) all.push_back(pid);
    }
  }
  return all;
}

}  // namespace

usage usage_of(const watched& what, bool with_memory) {
  usage total;
  for (const auto pid : what.with_children ? family_of(what.pid) : std::vector<pid_t>{what.pid}) {
    total.cpu_seconds += read_stat(pid).cpu_seconds;
    if (with_memory) add_memory(pid, total);
  }
  return total;
}

std::map<std::string, usage> usage_of_all(const std::vector<watched>& all, bool with_memory) {
  std::map<std::string, usage> by_name;
  for (const auto& what : all) {
    const auto one = usage_of(what, with_memory);
    auto& total = by_name[what.name];
    total.cpu_seconds += one.cpu_seconds;
    total.rss_bytes += one.rss_bytes;
    total.pss_bytes += one.pss_bytes;
  }
  return by_name;
}

usage own_usage() { return usage_of({"self", getpid(), false}, true); }

std::string machine_description() {
  std::string model = "unknown processor";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) {
      model = line.substr(line.find(':') + 2);
      break;
    }
  }
  const auto pages = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  return model + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores, " +
         std::to_string(static_cast<int>(pages / (1024.0 * 1024 * 1024) + 0.5)) + " GiB";
}

std::string kernel_description() {
  utsname name{};
  uname(&name);
  return std::string(name.sysname) + " " + name.release;
}

}  // namespace tern::bench

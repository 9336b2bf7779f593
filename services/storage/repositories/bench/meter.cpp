#include "services/storage/repositories/bench/meter.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "libs/sql/connection.hpp"

namespace tern::storage::bench {

double own_cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

namespace {

/// The fields of /proc/PID/stat after the name: [1] parent, [11] user, [12] system ticks, [13] [14] of ended
/// children.
std::vector<double> stat_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  std::vector<double> fields;
  if (!std::getline(file, line)) return fields;
  std::istringstream rest(line.substr(line.rfind(')') + 2));
  for (std::string word; rest >> word;) fields.push_back(std::atof(word.c_str()));
  return fields;
}

}  // namespace

server_meter::server_meter(const std::string& dsn) {
  if (sql::is_sqlite(dsn) || dsn == "memory:") return;
  auto link = sql::open(dsn);
  if (!link) return;
  auto pid = (*link)->query("select pg_backend_pid()");
  if (!pid) return;
  const auto fields = stat_of(std::to_string(sql::as_int(pid->front()[0])));
  if (fields.size() > 14) postmaster_ = static_cast<long>(fields[1]);
}

double server_meter::read() const {
  double ticks = 0;
  if (postmaster_ == 0) return 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto fields = stat_of(pid);
    if (fields.size() <= 14) continue;
    const bool root = pid == std::to_string(postmaster_);
    if (root) ticks += fields[13] + fields[14];
    if (root || static_cast<long>(fields[1]) == postmaster_) ticks += fields[11] + fields[12];
  }
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace tern::storage::bench

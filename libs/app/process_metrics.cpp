#include "libs/app/process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>

#include "libs/app/version.hpp"
#include "libs/log/log.hpp"
#include "libs/metrics/metrics.hpp"

namespace tern::app {
namespace {

/// Values of /proc/self/stat (proc(5)) that are of use here.
struct process_stat {
  double cpu_seconds = 0;
  double threads = 0;
  double start_ticks = 0;
  double virtual_bytes = 0;
  double resident_bytes = 0;
};

process_stat read_stat() {
  std::ifstream in("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  process_stat out;
  const auto close = text.rfind(')');  // our own name may contain spaces
  if (close == std::string::npos) return out;
  std::istringstream rest(text.substr(close + 1));
  const std::vector<std::string> words{std::istream_iterator<std::string>(rest), {}};
  const auto number = [&](size_t field) {  // numbered as in proc(5), where the state is field 3
    return field - 3 < words.size() ? std::strtod(words[field - 3].c_str(), nullptr) : 0;
  };
  const auto tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
  out.cpu_seconds = (number(14) + number(15)) / tick;
  out.threads = number(20);
  out.start_ticks = number(22) / tick;
  out.virtual_bytes = number(23);
  out.resident_bytes = number(24) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  return out;
}

double open_descriptors() {
  std::error_code ignored;
  const std::filesystem::directory_iterator all("/proc/self/fd", ignored);
  return static_cast<double>(std::distance(begin(all), end(all))) - 1;  // the directory itself is open
}

double start_time() {
  std::ifstream in("/proc/stat");
  for (std::string word; in >> word;) {
    double boot = 0;
    if (word == "btime" && in >> boot) return boot + read_stat().start_ticks;
  }
  return 0;
}

/// Turns a reading that only grows into a counter.
class growing {
 public:
  explicit growing(metrics::counter into) : into_(into) {}
  void reach(double value) {
    into_.add(std::max(0.0, value - last_));
    last_ = std::max(last_, value);
  }

 private:
  metrics::counter into_;
  double last_ = 0;
};

}  // namespace

void add_process_metrics(metrics::registry& into) {
  into.gauge("tern_build_info", "what runs here; always 1",
             {{"version", std::string(version())},
              {"commit", std::string(commit())},
              {"type", std::string(build_type())}})
      .set(1);
  into.gauge("process_start_time_seconds", "start of the process, seconds since 1970").set(start_time());
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  into.gauge("process_max_fds", "file descriptors the process may have").set(static_cast<double>(files.rlim_cur));
  auto cpu = std::make_shared<growing>(into.counter("process_cpu_seconds_total", "processor time, user and system"));
  auto drops = std::make_shared<growing>(
      into.counter("tern_log_dropped_lines_total", "log lines given up because the queue was full"));
  const auto resident = into.gauge("process_resident_memory_bytes", "memory in use");
  const auto virtual_memory = into.gauge("process_virtual_memory_bytes", "address space in use");
  const auto descriptors = into.gauge("process_open_fds", "open file descriptors");
  const auto threads = into.gauge("process_threads", "threads of the process");
  auto lock = std::make_shared<std::mutex>();  // scrapes may overlap
  into.on_collect([=] {
    const std::lock_guard hold{*lock};
    const auto stat = read_stat();
    cpu->reach(stat.cpu_seconds);
    drops->reach(static_cast<double>(log::dropped()));
    resident.set(stat.resident_bytes);
    virtual_memory.set(stat.virtual_bytes);
    threads.set(stat.threads);
    descriptors.set(open_descriptors());
  });
}

}  // namespace tern::app

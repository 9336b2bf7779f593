// tern-sim: runs seeds of the simulation, in several processes, and says how to see again what went wrong.
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "libs/log/log.hpp"
#include "tests/sim/run.hpp"

namespace {

struct arguments {
  uint64_t first = 1, count = 1000, jobs = 1;
  tern::sim::planted bug = tern::sim::planted::none;
  bool one = false;
  bool strict = false;
  bool rooms = true, routing = false;
};

arguments read(int argc, char** argv) {
  arguments out;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--seed") {
      out.first = std::strtoull(value, nullptr, 10);
      out.count = 1;
      out.one = true;
    } else if (name == "--first") {
      out.first = std::strtoull(value, nullptr, 10);
    } else if (name == "--seeds") {
      out.count = std::strtoull(value, nullptr, 10);
    } else if (name == "--jobs") {
      out.jobs = std::max<uint64_t>(1, std::strtoull(value, nullptr, 10));
    } else if (name == "--bug") {
      out.bug = tern::sim::planted_of(value);
    } else if (name == "--strict") {
      out.strict = std::string(value) == "yes";
    } else if (name == "--rooms") {
      out.rooms = std::string(value) == "yes";
    } else if (name == "--routing") {
      out.routing = std::string(value) == "real";
    }
  }
  return out;
}

void report(const tern::sim::run_options& how, const tern::sim::run_result& got) {
  std::printf("seed %llu FAILED\n", static_cast<unsigned long long>(how.seed));
  for (const auto& each : got.violations) std::printf("  %s\n", each.c_str());
  std::printf("  replay: %s\n", tern::sim::replay_command(how).c_str());
  std::fflush(stdout);
}

/// Every `step`th seed from `offset` on; how many failed.
int work(const arguments& with, uint64_t offset, uint64_t step) {
  int failed = 0;
  const bool show = std::getenv("TERN_SIM_TRACE") != nullptr;
  for (uint64_t i = offset; i < with.count; i += step) {
    const tern::sim::run_options how{with.first + i, show, with.bug, with.strict, with.rooms, with.routing};
    const auto got = tern::sim::run(how);
    if (!got.violations.empty()) {
      report(how, got);
      ++failed;
    } else if (with.one) {
      std::printf(
          "seed %llu: %zu sent, %zu acknowledged, %zu received, %zu faults, %zu moves, %.1f s simulated, %llu steps, "
          "digest %016llx\n",
          static_cast<unsigned long long>(how.seed), got.sent, got.acknowledged, got.received, got.faults,
          got.handed_over, got.simulated_seconds, static_cast<unsigned long long>(got.steps),
          static_cast<unsigned long long>(got.digest));
    }
  }
  return failed;
}

}  // namespace

int main(int argc, char** argv) {
  // Containers ordered by addresses must be in the same order when a seed is run again.
  const int now = personality(0xffffffff);
  if (now != -1 && (now & ADDR_NO_RANDOMIZE) == 0 &&
      personality(static_cast<unsigned long>(now) | ADDR_NO_RANDOMIZE) != -1) {
    execv("/proc/self/exe", argv);
  }
  const arguments with = read(argc, argv);
  tern::log::init({tern::log::level::off, false, "sim"});
  const auto began = std::chrono::steady_clock::now();
  int failed = 0;
  if (with.jobs == 1) {
    failed = work(with, 0, 1);
  } else {
    std::vector<pid_t> children;
    for (uint64_t i = 0; i < with.jobs; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        const int bad = work(with, i, with.jobs);
        std::fflush(stdout);
        _exit(bad > 100 ? 100 : bad);
      }
      children.push_back(child);
    }
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      failed += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
  }
  if (!with.one) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::printf("%llu seeds, %d failed, %.1f s\n", static_cast<unsigned long long>(with.count), failed, took.count());
  }
  return failed == 0 ? 0 : 1;
}

// tern-chaos: runs the cases of tests/chaos on a real cluster and prints the table; behind `make chaos`.
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "tests/chaos/cases.hpp"
#include "tests/chaos/report.hpp"
#include "tests/chaos/stage.hpp"

namespace {

using namespace tern::chaos;

void raise_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

struct arguments {
  scale size;
  std::string only;
  std::string output;
  std::string remarks;
};

bool wanted(const chaos_case& one, const std::string& only) {
  if (only.empty()) return true;
  for (size_t at = 0; at <= only.size();) {
    const auto comma = std::min(only.find(',', at), only.size());
    if (one.name.find(only.substr(at, comma - at)) != std::string::npos) return true;
    at = comma + 1;
  }
  return false;
}

/// The services are where this program is, unless told otherwise.
void find_binaries() {
  std::error_code none;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", none);
  if (!none) (void)::setenv("TERN_BIN", own.parent_path().c_str(), 0);
}

int run(const arguments& how) {
  raise_descriptors();
  find_binaries();
  ::signal(SIGPIPE, SIG_IGN);
  const auto began = std::chrono::steady_clock::now();
  const auto say = [&](const std::string& line) {
    const auto at = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began);
    std::cout << "[" << at.count() << " s] " << line << std::endl;
  };
  auto network = leave_for_private_network();
  if (!network) say("cases that need network namespaces are skipped: " + network.error().detail);
  auto mounts = leave_for_private_mounts();
  if (!mounts) say("cases that need a file system of their own are skipped: " + mounts.error().detail);
  const std::string build = TERN_BUILD_TYPE;
  std::vector<row> rows;
  stage where(how.size, say);
  where.set_network(std::move(network));
  where.set_mounts(std::move(mounts));
  size_t failed = 0;
  for (const auto& one : all_cases()) {
    if (!wanted(one, how.only)) continue;
    rows.push_back(where.run(one));
    failed += rows.back().failed() ? 1 : 0;
    std::cout << summary(rows.back()) << std::flush;
    // After each case: a run that is broken off has its table, too.
    if (!how.output.empty()) std::ofstream(how.output) << page(rows, how.size, build, how.remarks);
  }
  for (const auto& name : where.stop()) say(name + " did not end cleanly");
  std::cout << "\n" << page(rows, how.size, build, how.remarks) << std::flush;
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  arguments how;
  struct option {
    std::string what;
    std::function<void(const std::string&)> take;
  };
  const auto count = [](size_t& into) { return [&into](const std::string& text) { into = std::stoul(text); }; };
  const auto text = [](std::string& into) { return [&into](const std::string& given) { into = given; }; };
  auto& size = how.size;
  const std::map<std::string, option> options{
      {"--only", {"TEXT[,TEXT]: only cases whose names contain one of these", text(how.only)}},
      {"--output", {"FILE: write the table there, too", text(how.output)}},
      {"--remarks", {"TEXT: a sentence for the head of the table", text(how.remarks)}},
      {"--connections", {"N: of the checked traffic (2000)", count(size.connections)}},
      {"--rate",
       {"N: messages a second (400)", [&](const auto& given) { size.messages_per_second = std::stod(given); }}},
      {"--crowd", {"N: connections of the gateway that is killed (8000)", count(size.crowd)}},
      {"--reconnects", {"N: connections made again at once (5000)", count(size.reconnects)}},
      {"--stalled", {"N: clients that stop reading (200)", count(size.stalled)}},
      {"--moved", {"N: further sessions on line while a session node is drained (1500)", count(size.moved)}},
      {"--pause",
       {"N: seconds that a process is stopped (30)",
        [&](const auto& given) { size.pause = std::chrono::seconds(std::stoi(given)); }}},
      {"--before",
       {"N: seconds of undisturbed traffic before each fault (5)",
        [&](const auto& given) { size.before = std::chrono::seconds(std::stoi(given)); }}},
      {"--seed", {"N: of the traffic and the proxies (1)", count(size.seed)}},
      {"--histories", {"DIR: histories of failed cases", text(size.histories)}},
  };
  for (int i = 1; i < argc; ++i) {
    const auto known = options.find(argv[i]);
    if (std::string(argv[i]) == "--list") {
      for (const auto& one : all_cases()) std::cout << one.name << ": " << one.target << "\n";
      return 0;
    }
    if (known == options.end() || i + 1 == argc) {
      std::cout
          << "tern-chaos [options]: faults on a real cluster under traffic, each ending in the history checker\n";
      for (const auto& [name, one] : options) std::cout << "  " << name << " " << one.what << "\n";
      std::cout << "  --list: name the cases and end\n";
      return 2;
    }
    known->second.take(argv[++i]);
  }
  if (!size.histories.empty()) std::filesystem::create_directories(size.histories);
  return run(how);
}

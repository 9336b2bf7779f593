#include "tests/chaos/report.hpp"

#include <sys/utsname.h>

#include <array>
#include <cmath>
#include <ctime>
#include <fstream>
#include <sstream>
#include <thread>

#include "libs/testing/process.hpp"

namespace tern::chaos {
namespace {

std::string number(double value) { return std::to_string(std::llround(value)); }

std::string seconds(double value) {
  std::ostringstream out;
  out.precision(value < 10 ? 1 : 0);
  out << std::fixed << value;
  return out.str();
}

std::string verdict(const row& one) {
  if (one.skipped) return "skipped";
  if (one.failed()) return "**FAIL**";
  return one.missed.empty() ? "pass" : "kept, figure missed";
}

std::string join(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

std::string extras_of(const row& one) {
  std::vector<std::string> parts;
  for (const auto& each : one.extras) {
    parts.push_back(each.name + " " + (each.value < 100 ? seconds(each.value) : number(each.value)) +
                    (each.unit.empty() ? "" : " " + each.unit));
  }
  return join(parts);
}

std::string machine() {
  std::string model = "unknown CPU";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("model name")) continue;
    model = line.substr(line.find(':') + 2);
    break;
  }
  utsname kernel{};
  ::uname(&kernel);
  return std::to_string(std::thread::hardware_concurrency()) + " cores, " + model + ", Linux " + kernel.release;
}

std::string today() {
  const auto now = std::time(nullptr);
  std::array<char, 32> text{};
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts);
  return text.data();
}

std::string commit() {
  const auto head = testing::run_program({"git", "rev-parse", "--short", "HEAD"});
  const auto changed = testing::run_program({"git", "status", "--porcelain", "--untracked-files=no"});
  if (!head) return "unknown commit";
  return head->substr(0, head->find('\n')) + (changed && !changed->empty() ? " with changes" : "");
}

constexpr const char* columns =
    "| case | dropped | lost / doubled / reordered / other | p99 before → during, ms | longest wait p99 / max, ms | "
    "well after, s | further figures | target | result |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";

/// A bar in a name is not the end of its cell.
std::string in_cell(const std::string& text) {
  std::string out;
  for (const char each : text) out += each == '|' ? "\\|" : std::string(1, each);
  return out;
}

std::string cells(const row& one) {
  std::ostringstream out;
  out << "| " << in_cell(one.name) << " | ";
  if (one.skipped) {
    out << "| | | | | " << join(one.notes) << " | " << one.target << " | skipped |\n";
    return out.str();
  }
  out << one.seen.dropped << " of " << one.connections;
  if (one.crowd_dropped > 0) out << ", and " << one.crowd_dropped << " of the crowd";
  out << " | " << one.broken.lost << " / " << one.broken.doubled << " / " << one.broken.reordered << " / "
      << one.broken.other << " | " << number(one.seen.p99_before) << " → " << number(one.seen.p99_during) << " | "
      << number(one.seen.wait_p99) << " / " << number(one.seen.wait_max) << " | "
      << seconds(one.seen.well_after / 1000) << " | " << extras_of(one) << " | " << one.target << " | "
      << verdict(one) << " |\n";
  return out.str();
}

}  // namespace

std::string summary(const row& one) {
  std::string text = cells(one);
  for (const auto& each : one.failures) text += "    FAILED: " + each + "\n";
  for (const auto& each : one.broken.samples) text += "      " + each + "\n";
  for (const auto& each : one.missed) text += "    missed: " + each + "\n";
  if (!one.notes.empty()) text += "    " + join(one.notes) + "\n";
  return text;
}

std::string page(const std::vector<row>& rows, const scale& size, const std::string& build,
                 const std::string& remarks) {
  std::ostringstream out;
  out << "# Faults on real processes\n\n"
      << "Written by `make chaos` (" << today() << "; " << machine() << "; commit " << commit() << "; " << build
      << " build). " << remarks << (remarks.empty() ? "" : " ")
      << "How each case is made and what its columns mean: [tests/chaos](../tests/chaos/README.md).\n\n"
      << size.connections << " connections, " << number(size.messages_per_second)
      << " messages a second; 2 gateways, 2 session, 2 group, 2 storage nodes, " << size.routings
      << " routing replicas, 2 PostgreSQL servers and Redis share the machine with the clients.\n\n"
      << columns;
  for (const auto& one : rows) out << cells(one);
  std::string details;
  for (const auto& one : rows) {
    if (one.skipped || (one.failures.empty() && one.missed.empty() && one.notes.empty())) continue;
    details += "- **" + one.name + "**: ";
    std::vector<std::string> parts;
    for (const auto& each : one.failures) parts.push_back("failed: " + each);
    for (const auto& each : one.missed) parts.push_back("missed: " + each);
    parts.insert(parts.end(), one.notes.begin(), one.notes.end());
    details += join(parts) + "\n";
  }
  if (!details.empty()) out << "\n## Details\n\n" << details;
  return out.str();
}

}  // namespace tern::chaos

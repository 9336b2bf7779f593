#include <array>
#include <cstdio>
#include <sstream>

#include "tools/bench/scenarios.hpp"

namespace tern::bench {
namespace {

std::string number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), value >= 1000 ? "%.0f" : value >= 10 ? "%.1f" : "%.3g", value);
  return text.data();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + "\"";
}

}  // namespace

std::string to_text(const report& what) {
  std::ostringstream out;
  out << "== " << what.scenario << " (" << number(what.seconds) << " s measured)\n";
  for (const auto& [name, value] : what.values) {
    const auto unit = what.units.find(name);
    std::array<char, 64> line{};
    std::snprintf(line.data(), line.size(), "  %-26s %12s", name.c_str(), number(value).c_str());
    out << line.data() << (unit == what.units.end() ? "" : "  " + unit->second) << "\n";
  }
  for (const auto& [name, latency] : what.latencies) {
    std::array<char, 64> head{};
    std::snprintf(head.data(), head.size(), "  %-10s", name.c_str());
    const auto at = [&](double share) { return show_duration(static_cast<double>(latency.percentile(share))); };
    out << head.data() << " p50 " << at(0.5) << "  p90 " << at(0.9) << "  p99 " << at(0.99) << "  p99.9 " << at(0.999)
        << "  max " << show_duration(static_cast<double>(latency.max())) << "  (" << latency.count() << ")\n";
  }
  if (!what.costs.empty()) out << "  process            CPU s    µs/operation   bytes/connection   PSS MiB\n";
  for (const auto& [name, cost] : what.costs) {
    std::array<char, 128> line{};
    std::snprintf(line.data(), line.size(), "  %-16s %7.2f %12.1f %17.0f %12.1f", name.c_str(), cost.cpu_seconds,
                  cost.microseconds_per_operation, cost.bytes_per_connection,
                  static_cast<double>(cost.pss_bytes) / (1 << 20));
    out << line.data() << "\n";
  }
  for (const auto& [name, latency] : what.latencies) out << "  " << name << "\n" << latency.picture();
  for (const auto& note : what.notes) out << "  NOTE: " << note << "\n";
  return out.str();
}

std::string to_json(const std::vector<report>& all) {
  std::ostringstream out;
  out << "{\"machine\": " << quoted(machine_description()) << ", \"kernel\": " << quoted(kernel_description())
      << ", \"scenarios\": [";
  const char* comma = "";
  for (const auto& what : all) {
    out << comma << "{\"scenario\": " << quoted(what.scenario) << ", \"seconds\": " << what.seconds;
    for (const auto& [name, value] : what.values) out << ", " << quoted(name) << ": " << value;
    out << ", \"latency_ns\": {";
    const char* inner = "";
    for (const auto& [name, latency] : what.latencies) {
      out << inner << quoted(name) << ": {\"count\": " << latency.count() << ", \"p50\": " << latency.percentile(0.5)
          << ", \"p90\": " << latency.percentile(0.9) << ", \"p99\": " << latency.percentile(0.99)
          << ", \"p999\": " << latency.percentile(0.999) << ", \"max\": " << latency.max() << "}";
      inner = ", ";
    }
    out << "}, \"processes\": {";
    inner = "";
    for (const auto& [name, cost] : what.costs) {
      out << inner << quoted(name) << ": {\"cpu_seconds\": " << cost.cpu_seconds
          << ", \"us_per_operation\": " << cost.microseconds_per_operation
          << ", \"bytes_per_connection\": " << cost.bytes_per_connection << ", \"pss_bytes\": " << cost.pss_bytes
          << "}";
      inner = ", ";
    }
    out << "}, \"notes\": [";
    inner = "";
    for (const auto& note : what.notes) {
      out << inner << quoted(note);
      inner = ", ";
    }
    out << "]}";
    comma = ", ";
  }
  out << "]}\n";
  return out.str();
}

}  // namespace tern::bench

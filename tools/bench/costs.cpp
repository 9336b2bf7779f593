#include "tools/bench/costs.hpp"

#include <cstdlib>
#include <sstream>

namespace tern::bench {

double scrape(const client::endpoint& from, const std::string& name) {
  const auto reply = client::http_get(from, "/metrics");
  double sum = 0;
  std::istringstream in(reply.body);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(name) || (line[name.size()] != ' ' && line[name.size()] != '{')) continue;
    sum += std::strtod(line.c_str() + line.rfind(' '), nullptr);
  }
  return sum;
}

void cost_meter::restart() {
  before_ = usage_of_all(with_.processes, false);
  own_before_ = own_usage().cpu_seconds;
}

void cost_meter::finish(report& into, double operations) const {
  const auto now = usage_of_all(with_.processes, false);
  const auto put = [&](const std::string& name, double seconds) {
    auto& cost = into.costs[name];
    cost.cpu_seconds = seconds;
    cost.microseconds_per_operation = operations > 0 ? seconds * 1e6 / operations : 0;
  };
  for (const auto& [name, used] : now) {
    const auto start = before_.find(name);
    put(name, used.cpu_seconds - (start == before_.end() ? 0 : start->second.cpu_seconds));
  }
  put("tern-bench", own_usage().cpu_seconds - own_before_);
}

}  // namespace tern::bench

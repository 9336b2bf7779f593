#include <thread>

#include "tools/bench/costs.hpp"

namespace tern::bench {

using namespace std::chrono_literals;

namespace {

/// Lets what the setup left behind go: lingering sessions, freed buffers.
void settle(client::loop& loop, std::chrono::milliseconds time) {
  loop.run_until([] { return false; }, time);
}

}  // namespace

result<report> run_idle(const setting& with, const idle_options& how) {
  auto accounts = make_accounts(with.where, with.prefix, how.connections, with.progress);
  if (!accounts) return accounts.error();
  client::loop loop;
  std::vector<std::unique_ptr<member>> members;
  // One login first, so that what every process allocates once is not counted per connection.
  const std::vector<client::account> first(accounts->begin(), accounts->begin() + 1);
  if (auto done = log_in_all(loop, with.where, with.encoding, members, first, 1, {}); !done) return done.error();
  members.clear();
  settle(loop, 1000ms);
  const auto before = usage_of_all(with.processes, true);
  if (auto done = log_in_all(loop, with.where, with.encoding, members, *accounts, 200, with.progress); !done) {
    return done.error();
  }
  settle(loop, 3000ms);
  const auto after = usage_of_all(with.processes, true);

  report made;
  made.scenario = "idle";
  cost_meter meter(with);
  const auto began = std::chrono::steady_clock::now();
  settle(loop, std::chrono::milliseconds(static_cast<int64_t>(how.seconds * 1000)));
  made.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  meter.finish(made, 0);
  size_t alive = 0;
  for (const auto& each : members) alive += each->online() ? 1 : 0;
  const auto count = static_cast<double>(how.connections);
  made.values["connections"] = static_cast<double>(alive);
  double edge = 0;
  double cpu = 0;
  for (const auto& [name, used] : after) {
    const auto start = before.find(name);
    const auto grown = static_cast<double>(used.pss_bytes) -
                       (start == before.end() ? 0 : static_cast<double>(start->second.pss_bytes));
    made.costs[name].bytes_per_connection = grown / count;
    made.costs[name].pss_bytes = used.pss_bytes;
    const bool ours = name.starts_with("gateway") || name.starts_with("session") || name.starts_with("routing") ||
                      name.starts_with("ternd");
    if (ours) edge += grown / count;
    if (ours) cpu += made.costs[name].cpu_seconds;
  }
  made.values["bytes_per_connection"] = edge;
  made.units["bytes_per_connection"] = "bytes, gateway + session + routing (or ternd)";
  made.values["idle_cpu_percent"] = 100 * cpu / made.seconds;
  made.units["idle_cpu_percent"] = "% of one core, same processes";
  if (alive != how.connections) {
    made.notes.push_back(std::to_string(how.connections - alive) + " connections were lost while idle");
  }
  return made;
}

}  // namespace tern::bench

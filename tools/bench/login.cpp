#include "tools/bench/costs.hpp"

namespace tern::bench {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

result<report> run_login(const setting& with, const login_options& how) {
  auto accounts = make_accounts(with.where, with.prefix, how.logins, with.progress);
  if (!accounts) return accounts.error();
  auto tokens = fetch_tokens(with.where, *accounts, with.progress);
  if (!tokens) return tokens.error();
  client::loop loop;
  std::vector<std::unique_ptr<member>> members(how.logins);
  report made;
  made.scenario = "login storm";
  histogram latency;
  size_t started = 0;
  size_t finished = 0;
  size_t refused = 0;
  std::string first_refusal;
  std::function<void()> start_next = [&] {
    if (started == how.logins) return;
    const auto i = started++;
    members[i] = std::make_unique<member>();
    const auto began = steady::now();
    members[i]->on_result = [&, began](member& self) {
      ++finished;
      latency.add((steady::now() - began).count());
      if (!self.online()) {
        ++refused;
        if (first_refusal.empty()) first_refusal = self.why();
      }
      start_next();
    };
    members[i]->start(loop, with.where.gateway(i), with.encoding, (*accounts)[i], (*tokens)[i]);
  };
  cost_meter meter(with);
  const auto began = steady::now();
  for (size_t i = 0; i < how.concurrency; ++i) start_next();
  const bool complete = loop.run_until([&] { return finished == how.logins; }, 60s);
  made.seconds = std::chrono::duration<double>(steady::now() - began).count();
  meter.finish(made, static_cast<double>(finished));
  for (auto& each : members) {
    if (each) each->on_result = {};
  }
  made.values["logins_per_second"] = static_cast<double>(finished - refused) / made.seconds;
  made.values["refused"] = static_cast<double>(refused + (how.logins - finished));
  double cpu = 0;
  for (const auto& [name, cost] : made.costs) cpu += name == "tern-bench" ? 0 : cost.cpu_seconds;
  made.values["logins_per_core_second"] = cpu > 0 ? static_cast<double>(finished) / cpu : 0;
  made.units["logins_per_core_second"] = "per second of CPU of all servers, databases included";
  made.latencies["login"] = latency;
  if (!first_refusal.empty()) made.notes.push_back("first refusal: " + first_refusal);
  if (!complete) made.notes.push_back("not all logins were answered within 60 s");
  return made;
}

}  // namespace tern::bench

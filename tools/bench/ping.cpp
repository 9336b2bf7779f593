#include <unordered_map>

#include "tools/bench/costs.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

/// Pings of many members, each once per interval, spread evenly over it.
class ping_run {
 public:
  ping_run(client::loop& loop, std::vector<std::unique_ptr<member>>& members, double interval_seconds)
      : loop_(loop),
        members_(members),
        step_(std::chrono::nanoseconds(
            static_cast<int64_t>(1e9 * interval_seconds / static_cast<double>(members.size())))),
        sent_at_(members.size()) {
    for (size_t i = 0; i < members.size(); ++i) {
      members[i]->on_echo = [this, i](member&) {
        ++echoes;
        latency.add((steady::now() - sent_at_[i]).count());
      };
    }
  }
  ~ping_run() {
    for (auto& each : members_) each->on_echo = {};
  }

  void start() {
    next_ = steady::now();
    tick();
  }
  void stop() { going_ = false; }

  uint64_t pings = 0;
  uint64_t echoes = 0;
  histogram latency;

 private:
  void tick() {
    if (!going_) return;
    for (const auto now = steady::now(); next_ <= now; next_ += step_) {
      const size_t i = turn_++ % members_.size();
      if (!members_[i]->online()) continue;
      sent_at_[i] = steady::now();
      members_[i]->terminal().ping();
      ++pings;
    }
    loop_.at(next_, [this] { tick(); });
  }

  client::loop& loop_;
  std::vector<std::unique_ptr<member>>& members_;
  const std::chrono::nanoseconds step_;
  std::vector<steady::time_point> sent_at_;
  steady::time_point next_;
  size_t turn_ = 0;
  bool going_ = true;
};

}  // namespace

result<report> run_ping(const setting& with, const ping_options& how) {
  auto accounts = make_accounts(with.where, with.prefix, how.connections, with.progress);
  if (!accounts) return accounts.error();
  client::loop loop;
  std::vector<std::unique_ptr<member>> members;
  if (auto done = log_in_all(loop, with.where, with.encoding, members, *accounts, 200, with.progress); !done) {
    return done.error();
  }
  loop.run_until([] { return false; }, 3000ms);  // what the logins have left to do
  report made;
  made.scenario = "ping: " + std::to_string(how.connections) + " connections, each every " +
                  std::to_string(static_cast<int64_t>(how.interval_seconds)) + " s";
  ping_run run(loop, members, how.interval_seconds);
  cost_meter meter(with);
  const auto began = steady::now();
  run.start();
  loop.run_until([] { return false; }, std::chrono::milliseconds(static_cast<int64_t>(how.seconds * 1000)));
  made.seconds = std::chrono::duration<double>(steady::now() - began).count();
  meter.finish(made, static_cast<double>(run.pings));
  run.stop();
  loop.run_until([&] { return run.echoes >= run.pings; }, 5000ms);
  double cpu = 0;
  for (const auto& one : with.processes) cpu += made.costs[one.name].cpu_seconds;
  size_t alive = 0;
  for (const auto& each : members) alive += each->online() ? 1 : 0;
  made.values["connections"] = static_cast<double>(alive);
  made.values["pings_per_second"] = static_cast<double>(run.pings) / made.seconds;
  made.values["cpu_percent"] = 100 * cpu / made.seconds;
  made.units["cpu_percent"] = "% of one core, all watched processes";
  made.latencies["echo"] = run.latency;
  if (run.echoes < run.pings) made.notes.push_back(std::to_string(run.pings - run.echoes) + " pings without an echo");
  if (alive != how.connections) {
    made.notes.push_back(std::to_string(how.connections - alive) + " connections were lost");
  }
  return made;
}

}  // namespace tern::bench

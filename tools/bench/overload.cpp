#include <algorithm>

#include "tools/bench/costs.hpp"

namespace tern::bench {
namespace {

double value_of(const report& what, const std::string& name) {
  const auto found = what.values.find(name);
  return found == what.values.end() ? 0 : found->second;
}

double our_cost(const setting& with, const report& what) {
  double sum = 0;
  for (const auto& one : with.processes) {
    const auto found = what.costs.find(one.name);
    if (found != what.costs.end()) sum += found->second.microseconds_per_operation;
  }
  return sum;
}

/// Between two rounds of sending. A generator that asks the clock for each message would take half of a small machine
/// from the servers whose overload is measured.
constexpr std::chrono::milliseconds sending_round{5};

/// The largest resident memory of the watched processes together, looked at once a second.
class memory_peak {
 public:
  explicit memory_peak(const setting& with) : with_(with) {}
  void look() {
    uint64_t sum = 0;
    for (const auto& [name, used] : usage_of_all(with_.processes, true)) {
      const auto watched = std::find_if(with_.processes.begin(), with_.processes.end(),
                                        [&, &of = name](const auto& one) { return one.name == of; });
      // Databases take what memory they were given; what grows without bound would be ours.
      if (!watched->with_children) sum += used.rss_bytes;
    }
    peak_ = std::max(peak_, sum);
  }
  double mib() const { return static_cast<double>(peak_) / (1024 * 1024); }

 private:
  const setting& with_;
  uint64_t peak_ = 0;
};

result<report> measured(const setting& with, const chat_options& how, double& peak_mib) {
  memory_peak peak(with);
  setting watched = with;
  watched.progress = [&](const std::string& line) {
    peak.look();
    if (with.progress) with.progress(line);
  };
  auto made = run_chat(watched, how);
  peak.look();
  peak_mib = peak.mib();
  return made;
}

}  // namespace

result<report> run_overload(const setting& with, const overload_options& how) {
  chat_options chat;
  chat.pairs = how.pairs;
  chat.window = how.window;
  chat.seconds = std::max(how.seconds / 3, 1.0);
  chat.warmup_seconds = 2;
  double calm_mib = 0, loaded_mib = 0;
  auto saturation = measured(with, chat, calm_mib);
  if (!saturation) return saturation.error();
  const double most = value_of(*saturation, "receipts_per_second");
  chat.rate = how.factor * most;
  chat.seconds = how.seconds;
  chat.burst = how.burst > 0 ? how.burst : how.window;
  chat.round = sending_round;
  auto made = measured(with, chat, loaded_mib);
  if (!made) return made.error();
  made->scenario = "overload, " + std::to_string(static_cast<int64_t>(100 * how.factor)) + " % of saturation offered";
  auto& values = made->values;
  values["saturation_per_second"] = most;
  values["goodput_share"] = most > 0 ? value_of(*made, "receipts_per_second") / most : 0;
  made->units["goodput_share"] = "receipts/s of those at saturation";
  // On a shared machine rates depend on the neighbours; this does not.
  const double cost = our_cost(with, *made), calm_cost = our_cost(with, *saturation);
  values["cpu_us_per_receipt"] = cost;
  values["saturation_cpu_us_per_receipt"] = calm_cost;
  values["goodput_per_cpu_share"] = cost > 0 ? calm_cost / cost : 0;
  made->units["goodput_per_cpu_share"] = "receipts per CPU second of the servers, of those at saturation";
  values["generator_cores"] = made->seconds > 0 ? made->costs["tern-bench"].cpu_seconds / made->seconds : 0;
  made->units["generator_cores"] = "CPU the generator takes from the servers";
  values["memory_mib"] = loaded_mib;
  values["saturation_memory_mib"] = calm_mib;
  values["memory_share"] = calm_mib > 0 ? loaded_mib / calm_mib : 0;
  made->units["memory_share"] = "peak of resident memory of our processes, of that at saturation";
  return made;
}

}  // namespace tern::bench

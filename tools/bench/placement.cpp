// The planner at size: routing's own logic with simulated nodes that come, go and fail. Nothing is sent; time is
// simulated, what a plan takes is not.
#include <algorithm>
#include <chrono>
#include <string>

#include "services/routing/testing/cluster_sim.hpp"
#include "tools/bench/scenarios.hpp"

namespace tern::bench {
namespace {

using placement::unit_count;
using routing::testing::cluster_sim;
using std::chrono::milliseconds;

constexpr auto patience = std::chrono::minutes(60);

std::string named(size_t i) { return "session-" + std::to_string(10'000 + i); }

class measuring {
 public:
  measuring(const setting& with, const placement_options& how) : with_(with), how_(how) {
    routing::testing::sim_options sim;
    sim.cluster.shards = {"a"};
    sim.cluster.self = {"routing-0", "routing", "addr", 1, true};
    sim.sessions_per_slot = static_cast<double>(how.sessions) / slot_count;
    at_ = std::make_unique<cluster_sim>(sim);
    result_.scenario = "placement";
  }

  report run();

 private:
  /// Until everything is at rest. `least`: units that have to move; 0: from what is now to what should be.
  void rest(const std::string& phase, size_t least = 0);
  size_t least_moves();
  void grow_in_a_burst();
  void one_more();
  void fail(size_t part, const std::string& phase);
  void drain_some();
  void join_one_after_the_other();

  const setting& with_;
  const placement_options how_;
  std::unique_ptr<cluster_sim> at_;
  milliseconds began_{0};
  size_t next_ = 0;
  report result_;
};

size_t measuring::least_moves() {
  const auto& before = at_->routing().state().sessions;
  if (before.ranges().empty()) return 0;
  std::vector<placement::candidate> takers;
  for (const auto& name : at_->living()) takers.push_back({name, {}, false});
  size_t units = 0;
  const auto wanted = placement::spread(before, takers, ~0ULL);
  for (const auto& each : wanted.ranges()) {
    if (each.epoch == ~0ULL) units += (each.last - each.first + 1) / placement::unit_slots;
  }
  return units;
}

void measuring::rest(const std::string& phase, size_t least) {
  if (least == 0) least = least_moves();
  const bool quiet = at_->settle(patience);
  const auto& sum = at_->stats();
  const auto put = [&](const std::string& name, double value, const std::string& unit) {
    result_.values[phase + "." + name] = value;
    result_.units[phase + "." + name] = unit;
  };
  const auto per = [](double all, size_t count) { return count == 0 ? 0.0 : all / static_cast<double>(count); };
  put("seconds", std::chrono::duration<double>(at_->now() - began_).count(), "s simulated");
  put("orders", static_cast<double>(sum.orders), "");
  put("moved", static_cast<double>(sum.ordered_units + sum.taken_units), "units");
  put("least", static_cast<double>(least), "units");
  put("plans", static_cast<double>(sum.plans), "");
  put("plan_mean", 1e3 * per(sum.plan_seconds, sum.plans), "ms");
  put("plan_worst", 1e3 * sum.plan_worst, "ms");
  put("commits", static_cast<double>(sum.commits), "");
  put("delta_mean", per(static_cast<double>(sum.delta_bytes), sum.commits), "bytes");
  put("delta_worst", static_cast<double>(sum.delta_worst), "bytes");
  put("imbalance", static_cast<double>(at_->imbalance()), "units");
  if (!quiet) result_.notes.push_back(phase + ": did not come to rest");
  for (const auto& each : sum.violations) result_.notes.push_back(phase + ": " + each);
  with_.progress(phase + ": " + std::to_string(sum.orders) + " orders, " +
                 std::to_string(sum.ordered_units + sum.taken_units) + " units moved, at least " +
                 std::to_string(least) + " had to");
  at_->run(std::chrono::seconds(31));  // nothing rests any more
  at_->reset_stats();
  began_ = at_->now();
}

void measuring::grow_in_a_burst() {
  const size_t half = std::max<size_t>(1, how_.nodes / 2);
  for (; next_ < half; ++next_) at_->join(named(next_));
  rest("1_first_half");
  for (; next_ < how_.nodes; ++next_) at_->join(named(next_));
  rest("2_second_half_at_once");
}

void measuring::one_more() {
  at_->join(named(next_++));
  rest("3_one_joins");
  at_->drain(named(next_ - 1));
  rest("4_one_drains");
}

void measuring::fail(size_t part, const std::string& phase) {
  const auto living = at_->living();
  const size_t count = living.size() / part;
  for (size_t i = 0; i < count; ++i) at_->kill(living[i * part]);
  rest(phase);
}

void measuring::drain_some() {
  const auto living = at_->living();
  const size_t count = living.size() / 10;
  for (size_t i = 0; i < count; ++i) at_->drain(living[i * 10]);
  rest("7_a_tenth_drains");
}

void measuring::join_one_after_the_other() {
  for (const auto& name : at_->living()) at_->kill(name);
  at_->join(named(next_++));
  at_->settle(patience);
  at_->reset_stats();
  began_ = at_->now();
  for (size_t i = 1; i < how_.nodes; ++i) {
    at_->join(named(next_++));
    at_->run(std::chrono::seconds(1));
  }
  // As few as if all of them had come at once: what is more is the price of being even in between.
  rest("8_one_after_the_other", unit_count - unit_count / how_.nodes);
}

report measuring::run() {
  const auto began = std::chrono::steady_clock::now();
  grow_in_a_burst();
  one_more();
  fail(10, "5_a_tenth_fails");
  fail(2, "6_half_fails");
  drain_some();
  join_one_after_the_other();
  result_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return std::move(result_);
}

}  // namespace

result<report> run_placement(const setting& with, const placement_options& how) {
  if (how.nodes < 20) return error{errc::bad_parameter, "--nodes: 20 at least"};
  return measuring(with, how).run();
}

}  // namespace tern::bench

// Routing's logic with simulated nodes: they join, leave, die and hand ranges over in simulated time, and everything
// the logic does is checked as it does it. For tests and for tern-bench.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "libs/testing/fake_clock.hpp"
#include "services/routing/cluster.hpp"

namespace tern::routing::testing {

struct sim_options {
  cluster_options cluster = {};
  double sessions_per_slot = 0;
  std::chrono::milliseconds order_time{20};     // of an order that moves nothing
  std::chrono::microseconds session_time{200};  // each session adds
  std::chrono::milliseconds commit_time{10};
  double refuse = 0;  // probability that an order is refused by its target
  double silent = 0;  // that it is not answered
  double commit_fails = 0;
  bool slow_checks = true;
  uint32_t seed = 1;
};

struct sim_stats {
  size_t orders = 0;
  size_t ordered_units = 0;  // changed owner by an order
  size_t taken_units = 0;    // without one: their owner was dead, or they had none
  size_t failed = 0;
  size_t commits = 0;
  size_t plans = 0;
  double plan_seconds = 0;
  double plan_worst = 0;
  size_t delta_bytes = 0;
  size_t delta_worst = 0;
  std::vector<std::string> violations;  // the first ones
};

/// All nodes are session nodes. Not thread-safe.
class cluster_sim {
 public:
  using milliseconds = std::chrono::milliseconds;

  explicit cluster_sim(sim_options how);

  void join(const std::string& name);
  /// It drains, and says goodbye when it has nothing left.
  void drain(const std::string& name);
  /// Silent from now on, its stream gone.
  void kill(const std::string& name);
  void restart(const std::string& name);

  void run(milliseconds time);
  /// Until nothing is under way and nothing is left to do; false: not within `limit`.
  bool settle(milliseconds limit);

  cluster& routing() noexcept { return routing_; }
  const sim_stats& stats() const noexcept { return stats_; }
  void reset_stats() {
    stats_ = {};
    changed_.clear();
  }
  std::vector<std::string> living() const;
  /// Units of the sessions map that the living own: most less least.
  size_t imbalance() const;
  /// Changes of owner since reset_stats() of the unit that changed most.
  size_t most_changes() const;
  milliseconds now() const;

 private:
  struct sim_node {
    uint64_t incarnation = 1;
    bool running = true;
    bool draining = false;
  };
  struct order_at_node {
    std::string node;
    uint64_t incarnation = 0;
    placement::move_order order;
    clock::time_point due;
    errc code = errc::ok;
  };

  void violation(std::string what);
  void step();
  void hello(const std::string& name);
  void beat();
  void answer_orders();
  void plan();
  void forget_orders();
  void take_orders();
  void check_order(const outgoing_order& each);
  void commit(meta_state next);
  void check_commit(const meta_state& before, const meta_state& after);
  bool alive(const std::string& name, const meta_state& in) const;
  bool chance(double probability) { return std::uniform_real_distribution<>(0, 1)(random_) < probability; }

  const sim_options how_;
  tern::testing::fake_clock time_;
  const clock::time_point start_;
  cluster routing_;
  std::mt19937 random_;
  std::map<std::string, sim_node> nodes_;
  std::vector<order_at_node> orders_;
  std::set<uint64_t> known_orders_;
  std::vector<placement::move_order> ok_;
  std::optional<meta_state> committing_;
  clock::time_point commit_due_{};
  clock::time_point beat_due_{};
  bool dirty_ = false;
  std::vector<clock::time_point> moved_at_;  // units
  std::map<size_t, size_t> changed_;         // unit -> times
  sim_stats stats_;
};

}  // namespace tern::routing::testing

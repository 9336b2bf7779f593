// A real cluster, traffic with a history, and one fault at a time: each case runs its own traffic, strikes, waits
// until all is well and ends in the history checker; what came of it is one row of the table.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "libs/cluster/cluster.hpp"
#include "tests/chaos/crowd.hpp"
#include "tests/chaos/fault_proxy.hpp"
#include "tests/chaos/measure.hpp"
#include "tests/chaos/private_network.hpp"
#include "tests/verify/workload.hpp"

namespace tern::chaos {

/// How the nodes of a case are connected.
enum class wiring : uint8_t {
  direct,      // unix sockets
  proxied,     // a fault proxy in front of every node's links, of each gateway's clients and of Redis
  network,     // a network namespace per node
  databases,   // shard-1's DSN leads through a proxy ("database-1") and names a port where a standby may be
  small_disk,  // the same, and its database is on a file system of 400 MB
};

struct scale {
  size_t connections = 2000;
  double messages_per_second = 400;
  size_t crowd = 8000;                      // connections of the killed gateway
  size_t reconnects = 5000;                 // at once
  size_t stalled = 200;                     // clients that stop reading
  size_t moved = 1500;                      // further sessions on line, for drains
  std::chrono::milliseconds pause{30'000};  // of a stopped process
  std::chrono::milliseconds before{5000};   // of undisturbed traffic
  size_t routings = 3;
  uint64_t seed = 1;
  std::string histories;  // directory for the histories of failed cases; empty: none
};

/// Something measured beside the common figures.
struct extra_figure {
  std::string name;
  double value = 0;
  std::string unit;
  std::optional<double> most;  // the target
  std::optional<double> least;
};

class field;

/// The sum of the samples of `name` in a page of Prometheus' text format; with `label`, of those that contain it.
double sum_of(const std::string& page, const std::string& name, const std::string& label = {});

struct chaos_case {
  std::string name;
  wiring links = wiring::direct;
  std::string target;  // for people
  std::function<void(field&)> strike;
  std::function<void(field&)> prepare = nullptr;     // before the traffic is undisturbed for a while
  std::function<void(field&)> afterwards = nullptr;  // once all is well
  bool spoils = false;                               // the cluster cannot be used for another case
  bool may_drop = false;                             // connections may end: else each is a failure
  std::optional<double> wait_p99_ms = std::nullopt;  // figures to reach
  std::optional<double> wait_max_ms = std::nullopt;
  std::optional<double> p99_more_ms = std::nullopt;  // than before
  std::optional<double> well_ms = std::nullopt;
};

/// One line of the table.
struct row {
  std::string name;
  std::string target;
  size_t connections = 0;
  figures seen;
  damage broken;
  size_t crowd_dropped = 0;
  double lasted_s = 0;  // from the strike to its end
  std::vector<extra_figure> extras;
  std::vector<std::string> notes;
  std::vector<std::string> failures;  // hard promises that were not kept
  std::vector<std::string> missed;    // figures that were not reached
  bool skipped = false;               // and why, in notes
  bool failed() const noexcept { return !failures.empty(); }
};

/// What a case works with.
class field {
 public:
  field(testing::cluster& all, const scale& how, row& into) : nodes(all), size(how), out(into) {}

  testing::cluster& nodes;
  const scale& size;
  row& out;
  std::unique_ptr<verify::workload> traffic;
  std::unique_ptr<crowd> others;
  private_network* network = nullptr;                                      // wiring::network
  std::map<std::string, std::unique_ptr<fault_proxy>>* proxies = nullptr;  // wiring::proxied: by node; "redis"
  // wiring::databases, small_disk
  std::unique_ptr<testing::postgres_server>* standby = nullptr;
  uint16_t standby_port = 0;
  std::string disk;  // small_disk: where it is

  void expect(bool holds, const std::string& what);
  void note(const std::string& text) { out.notes.push_back(text); }
  void figure(extra_figure one) { out.extras.push_back(std::move(one)); }

  /// The metrics of a node as text; empty: no answer.
  std::string scrape(const std::string& node);
  /// The sum of a metric of one node over all labels; with `label`, of those samples that contain it. 0: no answer.
  double metric(const std::string& node, const std::string& name, const std::string& label = {});
  /// The same of all nodes of a service that answer.
  double metric_of_all(const std::string& service, const std::string& name, const std::string& label = {});
  /// The routing replica that leads; empty: none does.
  std::string leader();
  /// Another one than `old` leads within `limit`: how long that took, in seconds.
  std::optional<double> wait_leader(const std::string& old, std::chrono::milliseconds limit);

  /// SIGTERM; waits for a clean end. Seconds it took.
  double drain(const std::string& node);
  void kill(const std::string& node) { nodes.kill(node); }
  void restart(const std::string& node);
  /// SIGSTOP, later SIGCONT.
  void stop_and_continue(const std::string& node, std::chrono::milliseconds length);
  /// Logs in a crowd; a failure ends the case's hopes.
  void bring(crowd_options how);
};

class stage {
 public:
  stage(scale size, std::function<void(const std::string&)> progress);
  ~stage();

  /// Whether there are namespaces; else the reason, and the cases that need them are skipped.
  void set_network(result<void> allowed) { network_allowed_ = std::move(allowed); }
  row run(const chaos_case& which);
  /// Whether file systems may be mounted, likewise.
  void set_mounts(result<void> allowed) { mounts_allowed_ = std::move(allowed); }
  /// Ends all processes. Names of those that did not end cleanly.
  std::vector<std::string> stop();

 private:
  result<void> build(wiring links);
  testing::cluster_options options_of(wiring links);
  void plan_proxies(testing::cluster& nodes);
  void plan_databases(testing::cluster& nodes);
  result<void> mount_disk();
  void take_down();
  result<void> allowed(wiring links) const;
  bool heal();
  void traffic_starts(field& at);
  void play(const chaos_case& which, field& at);
  void judge(const chaos_case& which, field& at, const verify::history& seen, const moments& when);
  std::string logs();

  scale size_;
  std::function<void(const std::string&)> say_;
  result<void> network_allowed_ = error{errc::unavailable, "not tried"};
  result<void> mounts_allowed_ = error{errc::unavailable, "not tried"};
  std::optional<wiring> built_;
  std::unique_ptr<testing::temp_dir> disk_;
  uint16_t standby_port_ = 0;
  std::map<std::string, std::unique_ptr<fault_proxy>> proxies_;
  std::unique_ptr<private_network> network_;
  std::unique_ptr<testing::cluster> cluster_;
  std::unique_ptr<testing::postgres_server> standby_;
  size_t cases_ = 0;
};

/// All cases, in the order in which they are best run.
std::vector<chaos_case> all_cases();

}  // namespace tern::chaos

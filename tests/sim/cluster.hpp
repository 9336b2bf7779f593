// All machines of a run, the network between them, and what the faults do to them.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "services/gateway/config.hpp"
#include "services/group/config.hpp"
#include "services/session/config.hpp"
#include "tests/sim/control.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/people.hpp"
#include "tests/sim/referee.hpp"
#include "tests/sim/routing_process.hpp"
#include "tests/sim/run.hpp"

namespace tern::sim {

class cluster {
 public:
  cluster(world& in, const run_options& how);
  ~cluster();

  /// All clients begin; faults until `length` is over.
  void live(duration length);
  /// Ends all faults and waits until everything that was begun is done. A client or entry that does not get there is
  /// a violation.
  void heal_and_drain();
  verify::history& history() noexcept { return seen_; }
  size_t faults() const noexcept { return faults_.size(); }
  size_t handed_over() const noexcept { return control_.handed_over() + moved_; }

 private:
  struct fault {
    duration from{0}, to{0};
  };
  enum class kind : uint8_t { crash, stop, cut, cut_one_way, reset, move, hand_over, commits };

  void build();
  void begin_routing();
  void wait_for_maps();
  void start(host& which);
  void crash(host& which);
  void make_people();
  void make_rooms(dice& random);
  void begin_faults();
  void next_fault();
  void strike(kind what, duration length);
  void operate(kind what, duration length);
  void ask_routing(const routing::v1::ControlRequest& what);
  host& any_host();
  std::string other_end(const host& of);
  std::string shard_of(slot_type slot) const;
  void maps_changed(const placement::snapshot& before);
  gateway_process* any_gateway();
  duration after_faults() const;
  bool faulty(duration from, duration to) const;
  bool quiet();
  std::vector<std::string> unfinished();
  void read_histories();

  world& world_;
  const run_options how_;
  const bool rooms_;    // with group nodes
  const bool routing_;  // real, not played
  referee referee_;
  network net_;
  disks disks_;
  meta_disk meta_;
  routing::routing_config routing_config_;
  control control_;
  placement::range_map storage_;  // where routing is real
  session::session_config session_config_;
  gateway::gateway_config gateway_config_;
  group::group_config group_config_;
  std::string replicas_;           // addresses
  std::set<std::string> drained_;  // by operators
  size_t moved_ = 0;               // changes of maps by hand-overs
  verify::history seen_;
  crowd crowd_;
  std::vector<std::string> shards_;
  std::vector<kind> kinds_;  // of this run
  duration gap_{0};          // between faults
  duration faults_end_{0};
  std::vector<fault> faults_;
  bool over_ = false;
};

}  // namespace tern::sim

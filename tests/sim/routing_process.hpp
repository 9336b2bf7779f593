// A replica of routing in the simulation: the real placement and meta actors, with the leader's election, over a meta
// database in memory that outlives it.
#pragma once

#include <tern/routing/v1/routing.pb.h>

#include <memory>
#include <string>
#include <vector>

#include "services/routing/actors.hpp"
#include "services/routing/config.hpp"
#include "services/routing/metrics.hpp"
#include "tests/sim/dice.hpp"
#include "tests/sim/faults.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

/// The meta database of a run.
struct meta_disk {
  std::unique_ptr<routing::meta_store> real = routing::make_meta_store("memory:");
  dice random{0};
  double failures = 0;  // of each call; in and after some of the commits that fail so
  planted bug = planted::none;
  referee* watch = nullptr;
};

class routing_process final : public process {
 public:
  /// Nothing between the host's name and "meta": the database is not there for it.
  routing_process(host& on, network& net, meta_disk& meta, const routing::routing_config& config);
  ~routing_process() override;

  void on_map(const placement::snapshot_ptr&) override {}
  /// As an operator asks; who does not lead turns it away.
  void ask(routing::v1::ControlRequest what);

 private:
  routing::placement_setup setup(const routing::routing_config& config);

  caf::actor meta_, placement_;
  std::shared_ptr<routing::routing_metrics> routing_metrics_;
};

}  // namespace tern::sim

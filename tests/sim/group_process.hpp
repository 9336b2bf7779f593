// A group node in the simulation: the real parts of services/group, put together as its app does, without threads.
#pragma once

#include <memory>

#include "libs/actor/wheel.hpp"
#include "libs/handover/mover.hpp"
#include "libs/placement/view.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/shards/storage_client.hpp"
#include "services/group/config.hpp"
#include "services/group/directory.hpp"
#include "services/group/environment.hpp"
#include "services/group/links/parking.hpp"
#include "services/group/live/directory.hpp"
#include "services/group/live/push_queue.hpp"
#include "services/group/live/range_ages.hpp"
#include "services/group/moves.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

/// `lease_valid`: whether this process may believe that it owns its ranges. `moved`: answers to orders.
class group_process final : public process {
 public:
  group_process(host& on, network& net, const group::group_config& config, std::function<bool()> lease_valid,
                std::function<void(const placement::move_result&)> moved);
  ~group_process() override;

  void on_map(const placement::snapshot_ptr& current) override;
  void on_order(const placement::move_order& what) override { mover_.order(what); }
  void check_bounds() override;

 private:
  group::room_moves::outlets outlets(std::function<void(const placement::move_result&)> moved);
  void supervise();
  void serve();

  network& net_;
  const group::group_config config_;
  const rpc::peer self_;
  const std::string address_;
  group::group_metrics group_metrics_;
  shards::storage_client storage_;
  actor::wheel wheel_;
  group::directory directory_;
  group::live::directory vrooms_;
  group::live::range_ages range_ages_;
  group::live::push_queue pushes_;
  group::parking parking_;
  placement::view view_;
  group::environment env_;
  group::room_moves port_;
  handover::links<rpc::group_handover_stream> mover_;
  caf::actor supervisor_;
};

}  // namespace tern::sim

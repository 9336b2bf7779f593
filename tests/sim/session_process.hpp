// A session node in the simulation: the real parts of services/session, put together as its app does, without
// threads.
#pragma once

#include <memory>

#include "libs/handover/mover.hpp"
#include "libs/placement/view.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/shards/storage_client.hpp"
#include "services/session/directory.hpp"
#include "services/session/environment.hpp"
#include "services/session/links/parked_streams.hpp"
#include "services/session/links/peer_client.hpp"
#include "services/session/move_format.hpp"
#include "services/session/moves.hpp"
#include "services/session/presence/presence_outbox.hpp"
#include "services/session/rooms/hub.hpp"
#include "services/session/wheel.hpp"
#include "tests/sim/network.hpp"
#include "tests/sim/process.hpp"

namespace tern::sim {

/// `lease_valid`: whether this process may believe that it owns its ranges. `moved`: answers to orders.
class session_process final : public process {
 public:
  session_process(host& on, network& net, const session::session_config& config, std::function<bool()> lease_valid,
                  std::function<void(const placement::move_result&)> moved);
  ~session_process() override;

  void on_map(const placement::snapshot_ptr& current) override;
  void on_order(const placement::move_order& what) override { mover_.order(what); }
  void check_bounds() override;

 private:
  void supervise();
  void serve();

  network& net_;
  const session::session_config config_;
  const rpc::peer self_;
  const std::string address_;
  session::session_metrics session_metrics_;
  shards::storage_client storage_;
  session::group_client groups_;
  session::peer_client peers_;
  session::presence_outbox presence_;
  session::wheel wheel_;
  session::directory directory_;
  placement::view view_;
  session::environment env_;
  session::hub hub_;
  session::parked_streams parked_;
  session::range_moves moves_;
  handover::links<rpc::session_handover_stream> mover_;
  caf::actor supervisor_;
};

}  // namespace tern::sim

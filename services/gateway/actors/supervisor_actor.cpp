#include "services/gateway/actors/supervisor_actor.hpp"

#include <utility>

namespace tern::gateway {

caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, core* shared, rpc::network* network,
                                  const rpc::peer& who, const lane_list& lanes, live::hub* rooms,
                                  const drainer::port& sockets) {
  actor::set_common_handlers(self);
  auto& state = self->state;
  state.live = rooms;
  state.drain = std::make_unique<drainer>(*shared, lanes, sockets);
  state.links = std::make_unique<session_links>(*shared, *network, who, lanes);
  return {
      [self](map_atom, const placement::snapshot_ptr& current) {
        self->state.links->apply(current);
        self->state.live->apply(current);
      },
      [self](drain_atom, const std::shared_ptr<drain_progress>& progress) {
        self->state.drain->begin(progress);
        if (!std::exchange(self->state.pacing, true)) self->send(self, pace_atom::value);
      },
      [self](undrain_atom) { self->state.drain->cancel(); },
      [self](pace_atom) {
        self->state.pacing = self->state.drain->step();
        if (self->state.pacing) self->delayed_send(self, drain_step_length, pace_atom::value);
      },
      [self](quit_atom) {
        self->state.links->clear();
        self->state.live->clear();
        self->quit();
      },
  };
}

}  // namespace tern::gateway

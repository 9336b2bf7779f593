#include "services/gateway/actors/supervisor_actor.hpp"

#include <cmath>

namespace tern::gateway {

namespace {

constexpr std::chrono::milliseconds step{100};

}  // namespace

size_t supervisor_state::share() {
  const double wanted =
      static_cast<double>(shared->config.close_per_second) * 0.1 / static_cast<double>(lanes.size());
  carry += wanted;
  const double whole = std::floor(carry);
  carry -= whole;
  return static_cast<size_t>(whole);
}

bool supervisor_state::pace() {
  const size_t left = drain->remaining();
  shared->metrics.drain_remaining.set(static_cast<double>(left));
  if (left == 0) {
    drain->finish();
    return false;
  }
  const size_t most = share();
  for (const auto& each : lanes) {
    each->post([each, most] { each->close_some(most); });
  }
  return true;
}

caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, core* shared, rpc::network* network,
                                  const rpc::peer& who, const lane_list& lanes, live::hub* rooms) {
  actor::set_common_handlers(self);
  auto& state = self->state;
  state.shared = shared;
  state.lanes = lanes;
  state.live = rooms;
  state.links = std::make_unique<session_links>(*shared, *network, who, lanes);
  return {
      [self](map_atom, const placement::snapshot_ptr& current) {
        self->state.links->apply(current);
        self->state.live->apply(current);
      },
      [self](drain_atom, const std::shared_ptr<drain_progress>& progress) {
        self->state.drain = progress;
        self->state.shared->metrics.draining.set(1);
        self->send(self, pace_atom::value);
      },
      [self](pace_atom) {
        if (self->state.pace()) self->delayed_send(self, step, pace_atom::value);
      },
      [self](quit_atom) {
        self->state.links->clear();
        self->state.live->clear();
        self->quit();
      },
  };
}

}  // namespace tern::gateway

// The range supervisor: follows the maps, ends actors of slots this node lost, drops terminals of gateways that stay
// away, and gives the service its tick.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <utility>
#include <vector>

#include "libs/actor/actor.hpp"
#include "libs/placement/view.hpp"
#include "services/session/environment.hpp"
#include "services/session/links/streams.hpp"

namespace tern::session {

using map_atom = caf::atom_constant<caf::atom("map")>;
using tick_atom = caf::atom_constant<caf::atom("tick")>;
using presence_atom = caf::atom_constant<caf::atom("presence")>;
using moves_atom = caf::atom_constant<caf::atom("moves")>;
using stop_atom = caf::atom_constant<caf::atom("stop")>;
using gateway_atom = caf::atom_constant<caf::atom("gateway")>;

/// What the supervisor moves.
struct supervised {
  const environment* env = nullptr;
  std::function<void(const placement::snapshot_ptr&)> apply;                      // the links of storage and group
  std::function<void()> sweep;                                                    // their deadlines
  std::function<void(const placement::snapshot&)> presence = [](const auto&) {};  // its window is over
  std::function<bool()> moves = [] { return false; };  // looks at moves under way; true: again in a moment
  std::function<bool()> busy = [] { return true; };    // the sweep may find something
  std::chrono::milliseconds tick{25};                  // while busy
};

class supervisor_state {
 public:
  static inline const char* name = "session-supervisor";

  explicit supervisor_state(actor::stateful<supervisor_state>* self) : self_(self) {}
  void init(supervised what) { what_ = std::move(what); }
  void on_map(const placement::snapshot_ptr& current);
  void on_gateway(const gateway_ptr& stream, bool up);
  void on_tick();
  void on_moves();
  void on_presence() { what_.presence(*map_); }

 private:
  struct lost_gateway {
    gateway_ptr stream;
    clock::time_point due;
  };

  actor::stateful<supervisor_state>* self_;
  supervised what_;
  placement::snapshot_ptr map_ = std::make_shared<const placement::snapshot>();
  std::vector<gateway_ptr> streams_;  // that are up
  std::vector<lost_gateway> lost_;
};

/// Handlers: map (snapshot), gateway (stream, up), presence, moves, tick (to itself), stop.
caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, supervised what);

}  // namespace tern::session

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::placement::snapshot_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::session::gateway_ptr)

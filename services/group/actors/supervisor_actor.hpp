// The range supervisor: follows the maps, ends rooms and virtual rooms of slots this node lost, tells them of streams
// that ended, and gives the service its tick.
#pragma once

#include <caf/all.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "libs/actor/actor.hpp"
#include "libs/placement/view.hpp"
#include "services/group/environment.hpp"
#include "services/group/links/streams.hpp"
#include "services/group/live/streams.hpp"

namespace tern::group {

struct map_message {
  placement::snapshot_ptr map;
};
struct stream_gone_message {
  session_ptr stream;
};
struct gateway_gone_message {
  live::gateway_ptr stream;
};
/// Ranges are on their way: ticks of the mover are wanted.
struct moving_message {};
struct tick_message {};
struct stop_message {};

/// What the supervisor moves.
struct supervised {
  const environment* env = nullptr;
  std::function<void(const placement::snapshot_ptr&)> apply;  // the links of storage
  std::function<void()> sweep;                                // their deadlines
  std::function<bool()> busy = [] { return true; };           // the sweep may find something
  std::chrono::milliseconds tick{25};                         // while busy
  std::function<bool()> move = [] { return false; };          // a tick of the mover; true: another one is wanted
};

class supervisor_state {
 public:
  static inline const char* name = "group-supervisor";

  explicit supervisor_state(actor::stateful<supervisor_state>* self) : self_(self) {}
  void init(supervised what) { what_ = std::move(what); }
  void on_map(const placement::snapshot_ptr& current);
  void on_gone(const session_ptr& stream);
  void on_gone(const live::gateway_ptr& stream);
  void on_tick();
  void on_moving();

 private:
  actor::stateful<supervisor_state>* self_;
  supervised what_;
  placement::snapshot_ptr map_ = std::make_shared<const placement::snapshot>();
};

/// Handlers: map, stream_gone, gateway_gone, moving, tick (to itself), stop.
caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, supervised what);

}  // namespace tern::group

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::group::map_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::group::stream_gone_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::group::gateway_gone_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::group::moving_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::group::tick_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::group::stop_message)

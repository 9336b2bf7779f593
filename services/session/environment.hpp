// What session actors share. Built by app.cpp; outlives all actors.
#pragma once

#include <functional>
#include <string>

#include "libs/base/clock.hpp"
#include "libs/delivery/account_delivery.hpp"
#include "libs/log/log.hpp"
#include "libs/placement/view.hpp"
#include "services/session/config.hpp"
#include "services/session/links/group_client.hpp"
#include "services/session/links/storage.hpp"
#include "services/session/metrics.hpp"

namespace caf {
class actor_system;
}
namespace tern::actor {
class wheel;
}
namespace tern::handover {
class mover;
}

namespace tern::session {

/// A batch of so few items is worked on in the thread that brought it; more are shared by the scheduler's threads.
inline constexpr size_t few_items = 8;

class directory;
class peer_port;
class presence_outbox;
class relay_accounts;
class hub;
class parked_streams;
using actor::wheel;

struct environment {
  const session_config& config;
  const clock& time;
  session_metrics& metrics;
  std::string node = {};  // ours
  placement::view* cluster = nullptr;
  std::function<bool()> lease_valid = {};  // false: others may own our slots already
  storage_port* storage = nullptr;
  group_port* groups = nullptr;
  session::directory* directory = nullptr;
  session::wheel* wheel = nullptr;
  session::hub* hub = nullptr;          // rooms with members on line here
  caf::actor_system* actors = nullptr;  // null: all actors run on its threads (tests)
  peer_port* peers = nullptr;
  presence_outbox* presence = nullptr;
  relay_accounts* relay = nullptr;            // no-data mode; else null
  handover::mover* moves = nullptr;           // null: ranges come and go without notice
  session::parked_streams* parked = nullptr;  // null: what comes too early is refused
  delivery::delivery_limits delivery = {};
  log::logger log{"session"};
};

/// The range of `slot` in `map` if this node owns it and may act on it; else nullptr.
const placement::range* owned_range(const environment& env, const placement::snapshot& map, slot_type slot);

}  // namespace tern::session

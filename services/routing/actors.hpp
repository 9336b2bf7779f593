// The actors of the routing service and what they say to each other. placement: who leads, membership, plans, streams
// to the nodes; meta (detached: it blocks in the database): loads and commits, the leader row.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "libs/actor/actor.hpp"
#include "libs/base/clock.hpp"
#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/routing/cluster.hpp"
#include "services/routing/leader.hpp"
#include "services/routing/meta_store.hpp"

namespace tern::routing {

struct routing_metrics;
using join_sink = rpc::sink<rpc::join_stream::down>;
using control_sink = rpc::sink<rpc::control_stream::down>;

// ---- to the placement actor --------------------------------------------------------------------------------------

/// A node opened its stream. `stream` is unique in this process.
struct opened_message {
  uint64_t stream = 0;
  rpc::peer who;
  std::shared_ptr<join_sink> out;
};
struct items_message {
  uint64_t stream = 0;
  std::shared_ptr<std::vector<v1::NodeItem>> items;
};
struct closed_message {
  uint64_t stream = 0;
};
/// An operator opened a Control stream; numbers as above.
struct control_opened_message {
  uint64_t stream = 0;
  std::shared_ptr<control_sink> out;
};
struct control_items_message {
  uint64_t stream = 0;
  std::shared_ptr<std::vector<v1::ControlRequest>> items;
};
struct control_closed_message {
  uint64_t stream = 0;
};
/// From meta: what became of an intents_request.
struct stored_message {
  intents what;
  uint64_t term = 0;
  errc code = errc::ok;
};
/// From meta: the stored state, for who leads with `term`; or instead of one that it wanted to commit.
struct loaded_message {
  std::shared_ptr<meta_state> state;
  uint64_t term = 0;
  intents wanted = {};
};
/// From meta: `next` is committed (ok); stale_epoch: another term leads; else it could not be, nothing was written.
struct committed_message {
  std::shared_ptr<const meta_state> next;
  uint64_t term = 0;
  errc code = errc::ok;
};
/// From meta: what became of a leader_request.
struct leader_message {
  election::step step = election::step::none;
  errc code = errc::ok;
  leader_row row;     // look: as read; take_over: what was seen before
  uint64_t term = 0;  // renew
  clock::time_point sent{};
};
/// The replica is stopped: it leads no more. `done` is kept when the leader row says so.
struct resign_message {
  std::shared_ptr<std::promise<void>> done;
};
/// To itself: leases, settling, and what could not be committed.
struct tick_message {};

// ---- to the meta actor -------------------------------------------------------------------------------------------

/// Answered with loaded_message when the database can be read; tried until then.
struct load_request {
  caf::actor answer_to;
  uint64_t term = 0;
};
/// Answered with committed_message, or with loaded_message when the database holds something else.
struct commit_request {
  caf::actor answer_to;
  std::shared_ptr<const meta_state> now, next;
  uint64_t term = 0;
};
/// A step of the election; answered with leader_message. `row`: take_over: what was seen.
struct leader_request {
  caf::actor answer_to;
  election::step step = election::step::none;
  leader_row row, self;
  uint64_t term = 0;
  clock::time_point sent{};
};
/// Answered with stored_message.
struct intents_request {
  caf::actor answer_to;
  intents what;
  uint64_t term = 0;
};
struct resign_request {
  uint64_t term = 0;
  std::shared_ptr<std::promise<void>> done;  // may be null
};

struct placement_setup {
  const clock* time = nullptr;
  cluster_options cluster;
  leader_options leader;
  leader_row self;  // this replica, for the leader row
  caf::actor meta;
  std::shared_ptr<routing_metrics> metrics;
  std::function<void(bool leads)> ready;  // it leads and the maps are loaded, or it follows; any thread
  std::chrono::milliseconds tick{100};
};

struct routing_config;
/// As `options` say, for the replica `node` at `address`; time, meta, metrics and ready are the caller's.
placement_setup placement_of(const routing_config& options, const std::string& node, const std::string& address,
                             uint64_t incarnation);

caf::behavior meta_behavior(actor::plain* self, std::shared_ptr<meta_store> store);

}  // namespace tern::routing

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::opened_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::items_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::closed_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::loaded_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::committed_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::leader_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::resign_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::tick_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::load_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::commit_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::leader_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::resign_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::control_opened_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::control_items_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::control_closed_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::stored_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::intents_request)

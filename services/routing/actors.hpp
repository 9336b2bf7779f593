// The actors of the routing service and what they say to each other. placement: membership, plans, streams to the
// nodes; meta (detached: it blocks in the database): loads and commits.
#pragma once

#include <caf/all.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "libs/actor/actor.hpp"
#include "libs/base/clock.hpp"
#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "services/routing/cluster.hpp"
#include "services/routing/meta_store.hpp"

namespace tern::routing {

struct routing_metrics;
using join_sink = rpc::sink<rpc::join_stream::down>;

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
/// From meta: the stored state, after the start or instead of one that we wanted to commit.
struct loaded_message {
  std::shared_ptr<meta_state> state;
};
/// From meta: `next` is committed; or it could not be, and nothing was written.
struct committed_message {
  std::shared_ptr<const meta_state> next;
  bool done = false;
};
/// To itself: leases, settling, and what could not be committed.
struct tick_message {};

// ---- to the meta actor -------------------------------------------------------------------------------------------

/// Answered with loaded_message when the database can be read; tried until then.
struct load_request {
  caf::actor answer_to;
};
/// Answered with committed_message, or with loaded_message when the database holds something else.
struct commit_request {
  caf::actor answer_to;
  std::shared_ptr<const meta_state> now, next;
};

struct placement_setup {
  const clock* time = nullptr;
  cluster_options cluster;
  caf::actor meta;
  std::shared_ptr<routing_metrics> metrics;
  std::function<void()> ready;  // the maps are loaded; any thread
  std::chrono::milliseconds tick{100};
};

caf::behavior meta_behavior(actor::plain* self, std::shared_ptr<meta_store> store);

}  // namespace tern::routing

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::opened_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::items_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::closed_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::loaded_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::committed_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::tick_message)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::load_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::routing::commit_request)

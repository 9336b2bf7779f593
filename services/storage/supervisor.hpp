// The supervisor of the storage service: which shards this node serves, and the streams to session nodes.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "libs/rpc/network.hpp"
#include "services/storage/actors.hpp"
#include "services/storage/delivery_hub.hpp"
#include "services/storage/shard_slot.hpp"

namespace tern::storage {

struct supervisor_setup {
  rpc::peer self;
  rpc::network* network = nullptr;
  const clock* time = nullptr;
  std::function<bool()> lease_valid;
  /// Told when every shard has been given to somebody and all owned ones are served (or why not), and of each change.
  std::function<void(bool ready, const std::string& why)> readiness;
  std::shared_ptr<const shard_slots> shards;  // followed as it grows
  std::shared_ptr<delivery_hub> hub;
  std::shared_ptr<login_desk> logins;
  writer_options writer;  // shard and epoch are filled in
  dispatch_options dispatch;
  /// Steady time of the last tick, nanoseconds; for the liveness probe.
  std::shared_ptr<std::atomic<int64_t>> alive_at;
  /// Writers and dispatchers that have not ended: those of shards that have gone finish what they had.
  std::shared_ptr<std::atomic<size_t>> at_work = std::make_shared<std::atomic<size_t>>(0);
};

/// A shard that is served now.
struct running_shard {
  uint64_t epoch = 0;
  caf::actor writer;
  caf::actor dispatcher;
  std::shared_ptr<shard_counters> counters;  // outlive a writer that dies: numbers must not come twice in an epoch
  bool open = false;
  bool broken = false;  // its writer or dispatcher died; both are made anew when both have ended
};

struct supervisor_state {
  static inline const char* name = "storage_supervisor";
  supervisor_setup setup;
  placement::snapshot_ptr map = std::make_shared<const placement::snapshot>();
  std::map<std::string, running_shard> running;
  struct session_link {
    std::string address;
    std::unique_ptr<rpc::link> link;
  };
  std::map<std::string, session_link> links;
  std::vector<caf::actor> children;                 // writers and dispatchers that have not ended yet
  std::map<std::string, uint64_t> read_statements;  // counted so far, by shard
  bool suspended = false;
  bool given_out = false;  // a map with an owner for every shard was seen
  clock::time_point sizes_at;
  std::set<std::string> sized;  // shards whose size was asked for since they began to run
};

/// Spawn it detached: ending a link waits for its handlers. Takes map_message, shard_state_message, tick_message,
/// stop_message. After stop_message it ends when all writers and dispatchers have ended and the links are gone.
caf::behavior supervisor_behavior(actor::stateful<supervisor_state>* self, supervisor_setup setup);

}  // namespace tern::storage

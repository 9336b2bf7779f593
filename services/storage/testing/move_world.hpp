// Storage nodes with two shards around a routing that does what a test says: orders of moves go over real Join
// streams.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <caf/all.hpp>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "libs/actor/actor.hpp"
#include "libs/app/health.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/placement/view.hpp"
#include "libs/rpc/local_network.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/shards/storage_client.hpp"
#include "services/storage/app.hpp"
#include "services/storage/config.hpp"
#include "services/storage/moves/shard_mover.hpp"
#include "services/storage/testing/storage_node.hpp"

namespace tern::storage::testing {

using routing::v1::ShardMoveOrder;
using routing::v1::ShardMoveProgress;

/// Answers heartbeats, gives out the maps and orders, notes what is said of moves and shards. Thread-safe.
class scripted_routing {
 public:
  explicit scripted_routing(rpc::network& network);
  void publish(const placement::snapshot& map);
  void order(const std::string& node, const ShardMoveOrder& what);
  void list(const std::string& node, const routing::v1::ShardList& what);
  /// The first progress of the move with one of these states since the last forget(); nothing after 60 s.
  std::optional<ShardMoveProgress> wait_for(uint64_t move, const std::set<ShardMoveProgress::State>& states,
                                            std::chrono::milliseconds limit = std::chrono::seconds{60});
  void forget();
  /// What the node said last that fits; nothing after 20 s.
  std::optional<routing::v1::ShardHealth> wait_for_shard(
      const std::string& node, const std::string& shard,
      const std::function<bool(const routing::v1::ShardHealth&)>& fits);

 private:
  struct stream;
  using out_ptr = std::shared_ptr<rpc::sink<rpc::join_stream::down>>;
  void take(const std::string& node, const out_ptr& out, std::vector<rpc::join_stream::up>& items);

  std::recursive_mutex mutex_;
  std::condition_variable_any wake_;
  std::map<std::string, out_ptr> nodes_;
  routing::v1::Snapshot map_;
  std::vector<ShardMoveProgress> said_;
  std::map<std::string, routing::v1::ShardsServed> served_;
};

/// Who writes and reads as a session node does, and remembers what was acknowledged.
class chatter {
 public:
  chatter(rpc::network& network, uint64_t seed);
  ~chatter();
  void apply(const placement::snapshot_ptr& map) { client_.apply(map); }
  /// Each of `threads` writes into conversations of its own, all over the slots, one message after the other.
  void start(int threads, std::chrono::microseconds pause);
  void stop();
  /// Reads all conversations; each has all that was acknowledged, at its mid, and no mid is missing. How many
  /// messages.
  size_t verify();

  std::atomic<uint64_t> acknowledged{0}, failed{0};
  std::string first_failure();
  std::chrono::microseconds longest(bool reset = true);
  std::set<std::pair<uint64_t, uint64_t>> acknowledged_places();  // conversation (hi), mid

 private:
  struct talk {
    conversation_id id;
    account_id one, other;
    std::map<uint64_t, std::string> acknowledged;  // by mid
    uint64_t written = 0;
  };
  errc ask(slot_type slot, v1::StorageRequest request, v1::StorageReply& reply);
  void write(talk& in);

  shards::storage_client client_;
  std::mutex mutex_;
  std::vector<std::vector<talk>> talks_;  // by thread
  std::chrono::microseconds longest_{0};
  std::string first_failure_;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> threads_;
  std::atomic<bool> ended_{false};
  std::thread sweeper_;
  const uint64_t seed_;
};

struct world_options {
  bool one_node = false;  // both shards at storage-0; else s1 at storage-1
  std::string s0, s1;     // DSNs
  mover_options moves;
};

class move_world {
 public:
  explicit move_world(world_options how);
  ~move_world();

  /// Slots first..last belong to s1 from here on (decided), or again to s0.
  void decide(slot_type first, slot_type last, const std::string& shard);
  void order(ShardMoveOrder::Step step, uint64_t move, slot_type first, slot_type last, uint64_t back_of = 0);
  /// Ends the node's service and starts it again; its shards get new epochs.
  void restart(const std::string& node);
  uint64_t range_epoch() const { return range_epoch_; }
  void publish();
  double metric(const std::string& node, const std::string& series);

  std::unique_ptr<rpc::network> network = rpc::make_local_network();
  scripted_routing routing{*network};
  fake_session session{*network, "local:session-0"};
  std::unique_ptr<chatter> chat;

 private:
  struct running {
    metrics::registry registry;
    app::health_state health;
    std::unique_ptr<app::context> with;
    std::unique_ptr<app::service> it;
  };
  void launch(const std::string& node);
  std::string node_of(const std::string& shard) const {
    return how_.one_node || shard == "s0" ? "storage-0" : "storage-1";
  }

  const world_options how_;
  storage_config config_;
  actor::system_config actor_config_{2};
  caf::actor_system actors_{actor_config_};
  std::map<std::string, std::unique_ptr<running>> services_;
  uint64_t incarnations_ = 0;
  std::map<std::string, uint64_t> incarnation_;
  uint64_t version_ = 0;
  std::map<std::string, uint64_t> shard_epochs_{{"s0", 1}, {"s1", 1}};
  uint64_t range_epoch_ = 1;
  placement::range_map storage_{std::vector<placement::range>{{0, slot_count - 1, "s0", 1}}};
};

}  // namespace tern::storage::testing

// A node's way to all shards: one link per storage node, one ordered channel per shard.
#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "libs/placement/view.hpp"
#include "libs/rpc/network.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/shards/shard_channel.hpp"

namespace caf {
class actor_system;
}

namespace tern::shards {

/// Thread-safe. apply() and sweep() are called by the supervisor only.
class storage_client final : public storage_port {
 public:
  /// `actors`, if any: callbacks of a few answers that post to actors of it run these in the link's thread.
  storage_client(rpc::network& network, rpc::peer self, const clock& time, shard_channel::limits how,
                 caf::actor_system* actors = nullptr);
  ~storage_client() override;

  void ask(slot_type slot, storage::v1::StorageRequest request, patience how, storage_callback then) override;
  /// Links to the snapshot's storage nodes, channels to its shards.
  void apply(const placement::snapshot_ptr& current);
  void sweep();
  /// Ends links and requests; what is asked afterwards fails with `cancelled`.
  void stop();
  size_t waiting() const;

 private:
  class node_link;
  struct node_entry {
    std::string address;
    std::shared_ptr<node_link> handler;
    std::unique_ptr<rpc::link> link;
  };
  using channel_ptr = std::shared_ptr<shard_channel>;

  void retarget();
  channel_ptr channel_of(slot_type slot) const;  // under the lock
  /// Under the lock: what waits for a slot that has another shard now goes there, in order.
  void move_requests();

  rpc::network& network_;
  const rpc::peer self_;
  const clock& time_;
  const shard_channel::limits limits_;
  caf::actor_system* const actors_;
  mutable std::shared_mutex mutex_;  // guards what follows; never held during calls to links and channels
  placement::snapshot_ptr snapshot_ = std::make_shared<const placement::snapshot>();
  std::unordered_map<std::string, channel_ptr> channels_;
  std::map<std::string, std::shared_ptr<storage_sink>> sinks_;  // by node
  bool stopped_ = false;
  std::map<std::string, node_entry> nodes_;  // supervisor only
};

}  // namespace tern::shards

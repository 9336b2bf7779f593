// The streams to session nodes, shared by the dispatchers of all shards.
#pragma once

#include <caf/actor.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "libs/rpc/streams.hpp"
#include "services/storage/logic/dispatch_window.hpp"

namespace tern::storage {

/// Thread-safe; only passes messages on. Dispatchers hear of all streams that are up, in the order in which it
/// happened.
class delivery_hub {
 public:
  /// Replies for `shard` go to `dispatcher` from now on; it is told of the streams that are up.
  void join(const std::string& shard, const caf::actor& dispatcher);
  void leave(const std::string& shard, const caf::actor& dispatcher);

  void up(const std::string& node, std::shared_ptr<delivery_sink> out);
  void down(const std::string& node);
  void replies(const std::string& node, std::vector<session::v1::DeliveryReply>& items);
  size_t streams() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<delivery_sink>> streams_;
  std::map<std::string, caf::actor> dispatchers_;
};

/// The client side of one stream.
class delivery_client final : public rpc::client_handler<rpc::deliver_stream> {
 public:
  delivery_client(std::shared_ptr<delivery_hub> hub, std::string node)
      : hub_(std::move(hub)), node_(std::move(node)) {}
  void on_up(std::shared_ptr<delivery_sink> out) override { hub_->up(node_, std::move(out)); }
  void on_items(std::vector<session::v1::DeliveryReply>& items) override { hub_->replies(node_, items); }
  void on_down() override { hub_->down(node_); }

 private:
  const std::shared_ptr<delivery_hub> hub_;
  const std::string node_;
};

}  // namespace tern::storage

#include "services/storage/delivery_hub.hpp"

#include <utility>

#include "services/storage/actors.hpp"

namespace tern::storage {

void delivery_hub::join(const std::string& shard, const caf::actor& dispatcher) {
  const std::lock_guard guard(mutex_);
  dispatchers_[shard] = dispatcher;
  for (const auto& [node, out] : streams_) caf::anon_send(dispatcher, stream_message{node, out});
}

void delivery_hub::leave(const std::string& shard, const caf::actor& dispatcher) {
  const std::lock_guard guard(mutex_);
  const auto at = dispatchers_.find(shard);
  if (at != dispatchers_.end() && at->second == dispatcher) dispatchers_.erase(at);
}

void delivery_hub::up(const std::string& node, std::shared_ptr<delivery_sink> out) {
  const std::lock_guard guard(mutex_);
  streams_[node] = out;
  for (const auto& [shard, dispatcher] : dispatchers_) caf::anon_send(dispatcher, stream_message{node, out});
}

void delivery_hub::down(const std::string& node) {
  const std::lock_guard guard(mutex_);
  if (streams_.erase(node) == 0) return;
  for (const auto& [shard, dispatcher] : dispatchers_) caf::anon_send(dispatcher, stream_message{node, nullptr});
}

void delivery_hub::replies(const std::string& node, std::vector<session::v1::DeliveryReply>& items) {
  std::map<std::string, std::shared_ptr<std::vector<session::v1::DeliveryReply>>> by_shard;
  for (auto& item : items) {
    auto& to = by_shard[item.shard()];
    if (!to) to = std::make_shared<std::vector<session::v1::DeliveryReply>>();
    to->push_back(std::move(item));
  }
  const std::lock_guard guard(mutex_);
  for (auto& [shard, list] : by_shard) {
    const auto at = dispatchers_.find(shard);
    if (at != dispatchers_.end()) caf::anon_send(at->second, replies_message{node, std::move(list)});
  }
}

size_t delivery_hub::streams() const {
  const std::lock_guard guard(mutex_);
  return streams_.size();
}

}  // namespace tern::storage

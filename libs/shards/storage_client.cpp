#include "libs/shards/storage_client.hpp"

#include <utility>
#include <vector>

#include "libs/actor/inline_run.hpp"

namespace tern::shards {
namespace {

/// More of them are worth waking the scheduler's threads for.
constexpr size_t few_items = 8;

}  // namespace

/// Handler of one link; outlives neither the client nor the link.
class storage_client::node_link final : public rpc::client_handler<rpc::storage_stream> {
 public:
  node_link(storage_client& owner, std::string node) : owner_(owner), node_(std::move(node)) {}

  void on_up(std::shared_ptr<storage_sink> out) override {
    {
      const std::unique_lock held(owner_.mutex_);
      owner_.sinks_[node_] = std::move(out);
    }
    owner_.retarget();
  }
  void on_items(std::vector<storage::v1::StorageReply>& items) override {
    channel_ptr channel;
    std::string shard;
    const actor::inline_scope here(owner_.actors_, items.size() <= few_items);
    for (auto& reply : items) {
      if (!channel || reply.shard() != shard) {
        shard = reply.shard();
        const std::shared_lock held(owner_.mutex_);
        const auto at = owner_.channels_.find(shard);
        channel = at == owner_.channels_.end() ? nullptr : at->second;
      }
      if (channel) channel->on_reply(reply);
    }
  }
  void on_down() override {
    {
      const std::unique_lock held(owner_.mutex_);
      owner_.sinks_.erase(node_);
    }
    owner_.retarget();
  }

 private:
  storage_client& owner_;
  const std::string node_;
};

storage_client::storage_client(rpc::network& network, rpc::peer self, const clock& time, shard_channel::limits how,
                               caf::actor_system* actors)
    : network_(network), self_(std::move(self)), time_(time), limits_(how), actors_(actors) {}

storage_client::~storage_client() { stop(); }

/// It is put into its channel under the lock: a request of a slot that moves to another shard meanwhile is not left
/// behind, and does not overtake what went there.
void storage_client::ask(slot_type slot, storage::v1::StorageRequest request, patience how, storage_callback then) {
  channel_ptr channel;
  bool taken = false;
  {
    const std::shared_lock held(mutex_);
    channel = channel_of(slot);
    if (channel) taken = channel->enqueue(slot, request, how, then);
  }
  if (taken) {
    channel->send();
    return;
  }
  storage_answer refused{channel ? errc::overload : errc::unavailable, std::move(request), {}};
  then(refused);
}

storage_client::channel_ptr storage_client::channel_of(slot_type slot) const {
  if (stopped_) return nullptr;
  const placement::range* range = snapshot_->storage.find(slot);
  if (range == nullptr) return nullptr;
  const auto at = channels_.find(range->owner);
  return at == channels_.end() ? nullptr : at->second;
}

void storage_client::move_requests() {
  std::vector<shard_channel::requests> released;
  for (const auto& [name, channel] : channels_) {
    auto some = channel->release([&, to = channel.get()](slot_type slot) {
      const auto there = channel_of(slot);
      return there == nullptr || there.get() == to;
    });
    if (!some.empty()) released.push_back(std::move(some));
  }
  for (auto& some : released) {
    for (const auto& [name, channel] : channels_) {
      if (some.empty()) break;
      auto mine = some.take([&, to = channel.get()](slot_type slot) { return channel_of(slot).get() == to; });
      if (!mine.empty()) channel->adopt(std::move(mine));
    }
  }
}

void storage_client::apply(const placement::snapshot_ptr& current) {
  {
    const std::unique_lock held(mutex_);
    if (stopped_) return;
    const bool moved = !(snapshot_->storage == current->storage);
    snapshot_ = current;
    for (const placement::shard& one : current->shards) {
      if (channels_.contains(one.name)) continue;
      const uint64_t first_call = (channels_.size() + 1) << 48U;
      channels_[one.name] = std::make_shared<shard_channel>(one.name, first_call, time_, limits_);
    }
    if (moved) move_requests();
  }
  for (const placement::node& one : current->nodes) {
    if (one.service != "storage" || one.address.empty()) continue;
    node_entry& entry = nodes_[one.name];
    if (entry.link && entry.address == one.address) continue;
    entry.link.reset();  // waits until the old handler is quiet
    entry.address = one.address;
    entry.handler = std::make_shared<node_link>(*this, one.name);
    entry.link = network_.connect<rpc::storage_stream>(self_, one.address, entry.handler);
  }
  for (auto at = nodes_.begin(); at != nodes_.end();) {
    at = current->find_node(at->first) == nullptr ? nodes_.erase(at) : std::next(at);
  }
  retarget();
}

void storage_client::retarget() {
  struct change {
    channel_ptr channel;
    std::shared_ptr<storage_sink> out;
    uint64_t epoch = 0;
  };
  std::vector<change> changes;
  {
    const std::shared_lock held(mutex_);
    for (const auto& [name, channel] : channels_) {
      change& one = changes.emplace_back();
      one.channel = channel;
      const placement::shard* shard = snapshot_->find_shard(name);
      if (shard == nullptr) continue;
      one.epoch = shard->epoch;
      const auto at = sinks_.find(shard->owner);
      if (at != sinks_.end()) one.out = at->second;
    }
  }
  for (change& one : changes) {
    one.channel->set_target(std::move(one.out), one.epoch);
    one.channel->send();  // what came from another channel
  }
}

void storage_client::sweep() {
  std::vector<channel_ptr> all;
  {
    const std::shared_lock held(mutex_);
    for (const auto& [name, channel] : channels_) all.push_back(channel);
  }
  for (const channel_ptr& one : all) one->sweep();
}

size_t storage_client::waiting() const {
  const std::shared_lock held(mutex_);
  size_t sum = 0;
  for (const auto& [name, channel] : channels_) sum += channel->waiting();
  return sum;
}

void storage_client::stop() {
  std::vector<channel_ptr> all;
  {
    const std::unique_lock held(mutex_);
    if (std::exchange(stopped_, true)) return;
    for (const auto& [name, channel] : channels_) all.push_back(channel);
  }
  nodes_.clear();
  for (const channel_ptr& one : all) one->fail_all(errc::cancelled);
}

}  // namespace tern::shards

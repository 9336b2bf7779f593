#include "services/session/links/peer_client.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace tern::session {
namespace {

/// A presence is out of date after that.
constexpr std::chrono::seconds worth_keeping{2};

}  // namespace

/// Handler of one link. The entry it works for outlives it.
class peer_client::node_link final : public rpc::client_handler<rpc::peer_stream> {
 public:
  node_link(peer_client& owner, entry_ptr entry) : owner_(owner), entry_(std::move(entry)) {}

  void on_up(std::shared_ptr<peer_sink> out) override {
    owner_.metrics_.peer_links.add(1);
    lock held(owner_.mutex_);
    entry_->out = std::move(out);
    owner_.pass_on(held, entry_);
  }
  void on_items(std::vector<v1::PeerReply>&) override {}
  void on_down() override {
    owner_.metrics_.peer_links.add(-1);
    const lock held(owner_.mutex_);
    entry_->out = nullptr;
  }

 private:
  peer_client& owner_;
  const entry_ptr entry_;
};

peer_client::peer_client(rpc::network& network, rpc::peer self, const clock& time, const presence_metrics& metrics,
                         size_t queue_items, size_t queue_bytes)
    : network_(network),
      self_(std::move(self)),
      time_(time),
      metrics_(metrics),
      queue_items_(queue_items),
      queue_bytes_(queue_bytes) {}

peer_client::~peer_client() { stop(); }

void peer_client::send(const std::string& node, std::vector<v1::PeerItem>& items) {
  entry_ptr to;
  bool connects = false;
  size_t dropped = items.size();
  {
    lock held(mutex_);
    const auto at = stopped_ ? nodes_.end() : nodes_.find(node);
    if (at != nodes_.end()) {
      to = at->second;
      connects = !std::exchange(to->wanted, true);
      if (to->waiting.empty()) to->waits_since = time_.now();
      dropped = items.size() - queue(*to, items);
      pass_on(held, to);
    }
  }
  items.clear();
  if (dropped != 0) metrics_.count(peer_result::dropped, dropped);
  if (connects) connect(node, to);
}

/// Queues what there is room for, in order; how many.
size_t peer_client::queue(node_entry& to, std::vector<v1::PeerItem>& items) const {
  size_t taken = 0;
  for (v1::PeerItem& one : items) {
    const size_t bytes = one.payload().size();
    if (to.waiting.size() >= queue_items_ || to.waiting_bytes + bytes > queue_bytes_) continue;
    to.waiting_bytes += bytes;
    to.waiting.push_back(std::move(one));
    ++taken;
  }
  return taken;
}

/// All of it, or what the link's queue has room for.
void peer_client::hand_over(peer_sink& out, std::vector<v1::PeerItem>& batch) const {
  const size_t count = batch.size();
  if (out.send_all(batch)) return metrics_.count(peer_result::sent, count);
  for (v1::PeerItem& one : batch)
    metrics_.count(out.send(std::move(one)) ? peer_result::sent : peer_result::dropped, 1);
}

/// Hands over what waits, in order: one thread per entry at a time.
void peer_client::pass_on(lock& held, const entry_ptr& to) {
  if (to->sending) return;
  to->sending = true;
  while (to->out && !to->waiting.empty()) {
    auto batch = std::exchange(to->waiting, {});
    const auto out = to->out;
    to->waiting_bytes = 0;
    held.unlock();
    hand_over(*out, batch);
    held.lock();
  }
  to->sending = false;
}

void peer_client::connect(const std::string& node, const entry_ptr& to) {
  const std::lock_guard one_at_a_time(connecting_);
  std::string address;
  {
    const lock held(mutex_);
    const auto at = nodes_.find(node);
    // Gone, moved or made meanwhile.
    if (stopped_ || at == nodes_.end() || at->second != to || to->link) return;
    address = to->address;
  }
  auto link = network_.connect<rpc::peer_stream>(self_, address, std::make_shared<node_link>(*this, to));
  const lock held(mutex_);
  to->link = std::move(link);
}

void peer_client::apply(const placement::snapshot_ptr& current) {
  const std::lock_guard one_at_a_time(connecting_);
  std::vector<entry_ptr> gone;
  {
    const lock held(mutex_);
    if (stopped_) return;
    for (auto at = nodes_.begin(); at != nodes_.end();) {
      const placement::node* node = current->find_node(at->first);
      const bool stays = node != nullptr && node->service == "session" && node->address == at->second->address;
      if (!stays) gone.push_back(at->second);
      at = stays ? std::next(at) : nodes_.erase(at);
    }
    for (const placement::node& one : current->nodes) {
      if (one.service != "session" || one.address.empty() || one.name == self_.node) continue;
      auto& entry = nodes_[one.name];
      if (entry) continue;
      entry = std::make_shared<node_entry>();
      entry->address = one.address;
    }
  }
  for (const entry_ptr& one : gone) one->link.reset();  // waits until its handler is quiet
}

void peer_client::sweep() {
  size_t dropped = 0;
  {
    const lock held(mutex_);
    const auto now = time_.now();
    for (auto& [name, one] : nodes_) {
      if (one->out || one->waiting.empty() || now - one->waits_since < worth_keeping) continue;
      dropped += one->waiting.size();
      one->waiting.clear();
      one->waiting_bytes = 0;
    }
  }
  if (dropped != 0) metrics_.count(peer_result::dropped, dropped);
}

void peer_client::stop() {
  const std::lock_guard one_at_a_time(connecting_);
  std::map<std::string, entry_ptr> nodes;
  {
    const lock held(mutex_);
    stopped_ = true;
    nodes.swap(nodes_);
  }
  for (auto& [name, one] : nodes) one->link.reset();
}

}  // namespace tern::session

#include "services/session/links/group_client.hpp"

#include <utility>

namespace tern::session {

class group_client::node_link final : public rpc::client_handler<rpc::group_stream> {
 public:
  node_link(group_client& owner, std::string node) : owner_(owner), node_(std::move(node)) {}

  void on_up(std::shared_ptr<group_sink> out) override {
    lock held(owner_.mutex_);
    owner_.sinks_[node_] = std::move(out);
    owner_.send_unsent(held);
  }
  void on_items(std::vector<group::v1::GroupReply>& items) override {
    for (auto& reply : items) owner_.on_reply(node_, reply);
  }
  void on_down() override {
    const lock held(owner_.mutex_);
    owner_.sinks_.erase(node_);
    for (auto& [call, one] : owner_.entries_) {
      if (one.sent_to == node_) one.sent_to.clear();
    }
  }

 private:
  group_client& owner_;
  const std::string node_;
};

group_client::group_client(rpc::network& network, rpc::peer self, const clock& time,
                           std::chrono::milliseconds deadline)
    : network_(network), self_(std::move(self)), time_(time), deadline_(deadline) {}

group_client::~group_client() { stop(); }

void group_client::ask(group::v1::GroupRequest request, group_callback then) {
  {
    lock held(mutex_);
    if (!stopped_ && snapshot_->groups.find(slot_of(request.room())) != nullptr) {
      entry& one = entries_[++last_call_];
      request.set_call(last_call_);
      one.request = std::move(request);
      one.then = std::move(then);
      one.deadline = time_.now() + deadline_;
      send_unsent(held);
      return;
    }
  }
  group_answer refused{errc::unavailable, {}};
  then(refused);
}

void group_client::send_unsent(lock& held) {
  if (sending_) return;
  sending_ = true;
  for (auto at = entries_.begin(); at != entries_.end();) {
    entry& one = at->second;
    const placement::range* range =
        one.sent_to.empty() ? snapshot_->groups.find(slot_of(one.request.room())) : nullptr;
    const auto sink = range == nullptr ? sinks_.end() : sinks_.find(range->owner);
    if (sink == sinks_.end()) {
      ++at;
      continue;
    }
    const uint64_t call = at->first;
    one.request.set_epoch(range->epoch);
    one.sent_to = range->owner;
    group::v1::GroupRequest copy = one.request;
    const auto out = sink->second;
    held.unlock();
    const bool sent = out->send(std::move(copy));
    held.lock();
    if (const auto again = entries_.find(call); !sent && again != entries_.end()) again->second.sent_to.clear();
    at = entries_.upper_bound(call);  // the map may have changed meanwhile
  }
  sending_ = false;
}

void group_client::on_reply(const std::string& node, group::v1::GroupReply& reply) {
  group_callback then;
  if (!reply.has_answer()) return;
  group_answer answer{static_cast<errc>(reply.answer().code()), std::move(*reply.mutable_answer())};
  {
    const lock held(mutex_);
    const auto at = entries_.find(answer.answer.call());
    if (at == entries_.end() || at->second.sent_to != node) return;
    if (answer.code == errc::wrong_owner) {
      at->second.sent_to.clear();  // the sweep sends it to the owner of a newer map
      return;
    }
    then = std::move(at->second.then);
    entries_.erase(at);
  }
  then(answer);
}

void group_client::apply(const placement::snapshot_ptr& current) {
  {
    const lock held(mutex_);
    if (stopped_) return;
    snapshot_ = current;
  }
  for (const placement::node& one : current->nodes) {
    if (one.service != "group" || one.address.empty()) continue;
    node_entry& node = nodes_[one.name];
    if (node.link && node.address == one.address) continue;
    node.link.reset();
    node.address = one.address;
    node.link = network_.connect<rpc::group_stream>(self_, one.address, std::make_shared<node_link>(*this, one.name));
  }
  for (auto at = nodes_.begin(); at != nodes_.end();) {
    at = current->find_node(at->first) == nullptr ? nodes_.erase(at) : std::next(at);
  }
  sweep();
}

void group_client::sweep() {
  std::vector<group_callback> late;
  {
    lock held(mutex_);
    const auto now = time_.now();
    for (auto at = entries_.begin(); at != entries_.end();) {
      if (at->second.deadline > now) {
        ++at;
        continue;
      }
      late.push_back(std::move(at->second.then));
      at = entries_.erase(at);
    }
    send_unsent(held);
  }
  for (group_callback& then : late) {
    group_answer answer{errc::deadline, {}};
    then(answer);
  }
}

void group_client::stop() {
  std::map<uint64_t, entry> failed;
  {
    const lock held(mutex_);
    if (std::exchange(stopped_, true)) return;
    failed.swap(entries_);
  }
  nodes_.clear();
  for (auto& [call, one] : failed) {
    group_answer answer{errc::cancelled, {}};
    one.then(answer);
  }
}

}  // namespace tern::session

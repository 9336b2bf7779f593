#include "services/session/links/group_client.hpp"

#include <algorithm>
#include <utility>

#include "libs/shards/doubt.hpp"

namespace tern::session {
namespace {

constexpr std::chrono::milliseconds after_wrong_owner{50};

}  // namespace

class group_client::node_link final : public rpc::client_handler<rpc::group_stream> {
 public:
  node_link(group_client& owner, std::string node) : owner_(owner), node_(std::move(node)) {}

  void on_up(std::shared_ptr<group_sink> out) override {
    {
      const lock held(owner_.mutex_);
      source_ = ++owner_.last_source_;
    }
    owner_.on_up(node_, source_, std::move(out));
  }
  void on_items(std::vector<group::v1::GroupReply>& items) override {
    for (auto& reply : items) owner_.on_reply(source_, reply);
  }
  void on_down() override {
    owner_.on_down(node_, source_);
    if (owner_.listener_ != nullptr) owner_.listener_->on_source_down(source_);
  }

 private:
  group_client& owner_;
  const std::string node_;
  uint64_t source_ = 0;  // of the present stream; changed by the transport's calls only
};

group_client::group_client(rpc::network& network, rpc::peer self, const clock& time,
                           std::chrono::milliseconds deadline)
    : network_(network), self_(std::move(self)), time_(time), deadline_(deadline) {}

group_client::~group_client() { stop(); }

void group_client::ask(group::v1::GroupRequest request, group_callback then) {
  {
    lock held(mutex_);
    if (!stopped_ && snapshot_->groups.find(slot_of(request.room())) != nullptr) {
      const uint64_t room = request.room();
      const uint64_t call = ++last_call_;
      request.set_call(call);
      entry& one = entries_[call];
      one.request = std::move(request);
      one.then = std::move(then);
      one.deadline = time_.now() + deadline_;
      rooms_[room].push_back(call);
      schedule(room);
      send_scheduled(held);
      return;
    }
  }
  group_answer refused;
  refused.code = errc::unavailable;
  then(refused);
}

/// Puts what may leave now in the queue.
void group_client::schedule(uint64_t room) {
  const auto at = rooms_.find(room);
  if (at == rooms_.end()) return;
  const placement::range* range = snapshot_->groups.find(slot_of(room));
  const auto where = range == nullptr ? streams_.end() : streams_.find(range->owner);
  if (where == streams_.end() || where->second.blocked) return;
  const target to{where->second.source, range->first, range->epoch};
  const bool proven = std::find(proven_.begin(), proven_.end(), to) != proven_.end();
  if (!proven && time_.now() < repeat_at_) return;
  for (const uint64_t call : at->second) {
    entry& one = entries_.at(call);
    if (one.sent.source != 0) {
      if (one.sent == to && one.proven) continue;
      return;  // what follows would overtake it if it came back
    }
    one.sent = to;
    one.proven = proven;
    scheduled_.push_back({call, range->owner, to});
    if (!proven) return;
  }
}

void group_client::schedule_all() {
  for (const auto& [room, calls] : rooms_) schedule(room);
}

void group_client::send_scheduled(lock& held) {
  if (sending_) return;
  sending_ = true;
  while (!scheduled_.empty()) {
    const outgoing next = std::move(scheduled_.front());
    scheduled_.pop_front();
    const auto one = entries_.find(next.call);
    if (one == entries_.end() || one->second.sent != next.to) continue;  // ended, or to be sent elsewhere
    const auto at = streams_.find(next.node);
    if (at == streams_.end() || at->second.source != next.to.source || at->second.blocked) {
      one->second.sent = {};
      continue;
    }
    group::v1::GroupRequest copy = one->second.request;
    copy.set_epoch(next.to.epoch);
    const auto out = at->second.out;
    held.unlock();
    const bool sent = out->send(std::move(copy));
    held.lock();
    if (sent) continue;
    if (const auto full = streams_.find(next.node); full != streams_.end() && full->second.source == next.to.source) {
      full->second.blocked = true;  // nothing may overtake it
    }
    if (const auto again = entries_.find(next.call); again != entries_.end() && again->second.sent == next.to) {
      again->second.sent = {};
    }
  }
  sending_ = false;
}

void group_client::on_up(const std::string& node, uint64_t source, std::shared_ptr<group_sink> out) {
  lock held(mutex_);
  streams_[node] = {std::move(out), source, false};
  schedule_all();
  send_scheduled(held);
}

void group_client::on_down(const std::string& node, uint64_t source) {
  const lock held(mutex_);
  const auto at = streams_.find(node);
  if (at != streams_.end() && at->second.source == source) streams_.erase(at);
  std::erase_if(proven_, [source](const target& one) { return one.source == source; });
  for (auto& [call, one] : entries_) {
    if (one.sent.source != source) continue;
    one.sent = {};
    one.doubt = true;
  }
}

void group_client::on_reply(uint64_t source, group::v1::GroupReply& reply) {
  if (reply.has_answer()) return on_answer(source, *reply.mutable_answer());
  if (listener_ == nullptr) return;
  if (reply.has_frame()) listener_->on_frame(source, *reply.mutable_frame());
  if (reply.has_gone()) listener_->on_gone(source, reply.gone());
}

void group_client::on_answer(uint64_t source, group::v1::Answer& answer) {
  group_answer got;
  group_callback then;
  {
    lock held(mutex_);
    const auto at = entries_.find(answer.call());
    if (at == entries_.end() || at->second.sent.source != source) return;
    const target from = at->second.sent;
    const uint64_t room = at->second.request.room();
    got.code = static_cast<errc>(answer.code());
    if (got.code == errc::wrong_owner) {
      // It, and what was sent behind it, goes to the owner of a newer map; to the same one after a moment.
      std::erase(proven_, from);
      at->second.sent = {};
      repeat_at_ = time_.now() + after_wrong_owner;
      return;
    }
    if (std::find(proven_.begin(), proven_.end(), from) == proven_.end()) {
      // Targets of former epochs of the range are over.
      std::erase_if(proven_, [&](const target& one) { return one.first == from.first && one.epoch < from.epoch; });
      proven_.push_back(from);
    }
    if (at->second.doubt && at->second.request.has_change()) got.code = shards::in_doubt(got.code);
    got.source = source;
    got.epoch = from.epoch;
    then = take(answer.call());
    schedule(room);
    send_scheduled(held);
  }
  got.answer = std::move(answer);
  then(got);
}

group_callback group_client::take(uint64_t call) {
  const auto at = entries_.find(call);
  const uint64_t room = at->second.request.room();
  group_callback then = std::move(at->second.then);
  entries_.erase(at);
  const auto queue = rooms_.find(room);
  std::erase(queue->second, call);
  if (queue->second.empty()) rooms_.erase(queue);
  return then;
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
  {
    const lock held(mutex_);
    repeat_at_ = {};
  }
  sweep();
}

size_t group_client::waiting() const {
  const lock held(mutex_);
  return entries_.size();
}

void group_client::sweep() {
  std::vector<group_callback> late;
  {
    lock held(mutex_);
    const auto now = time_.now();
    std::vector<uint64_t> over;
    for (const auto& [call, one] : entries_) {
      if (one.deadline <= now) over.push_back(call);
    }
    std::sort(over.begin(), over.end());
    for (const uint64_t call : over) late.push_back(take(call));
    for (auto& [node, one] : streams_) one.blocked = false;
    if (repeat_at_ <= now) {
      schedule_all();
      send_scheduled(held);
    }
  }
  for (group_callback& then : late) {
    group_answer answer;
    answer.code = errc::deadline;
    then(answer);
  }
}

void group_client::stop() {
  std::map<uint64_t, group_callback> failed;
  {
    const lock held(mutex_);
    if (std::exchange(stopped_, true)) return;
    for (auto& [call, one] : entries_) failed.emplace(call, std::move(one.then));
    entries_.clear();
    rooms_.clear();
    scheduled_.clear();
  }
  nodes_.clear();
  for (auto& [call, then] : failed) {
    group_answer answer;
    answer.code = errc::cancelled;
    then(answer);
  }
}

}  // namespace tern::session

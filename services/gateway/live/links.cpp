#include "services/gateway/live/links.hpp"

#include <iterator>
#include <utility>

#include "libs/rpc/pieces.hpp"

namespace tern::gateway::live {

namespace {

/// Requests that wait for a stream that does not keep up; pushes beyond are dropped.
constexpr size_t most_queued_bytes = 64U << 20U;

size_t pushed_bytes(const std::vector<group::v1::LiveRequest>& requests) {
  size_t out = 0;
  for (const auto& each : requests) out += each.has_push() ? each.push().body().size() : 0;
  return out;
}

}  // namespace

/// One stream after the other to one group node.
class group_links::one_link final : public rpc::client_handler<rpc::live_stream> {
 public:
  one_link(uint32_t number, link_events& events) : number_(number), events_(events) {}

  void on_up(std::shared_ptr<rpc::sink<group::v1::LiveRequest>> out) override {
    {
      const std::lock_guard lock(mutex_);
      ++generation_;
      out_ = std::move(out);
    }
    events_.on_link_up(number_);
  }

  void on_items(std::vector<group::v1::LiveReply>& items) override {
    place stream;
    {
      const std::lock_guard lock(mutex_);
      stream = {number_, generation_, 0};
    }
    events_.on_replies(stream, items);
  }

  void on_down() override {
    place stream;
    {
      const std::lock_guard lock(mutex_);
      stream = {number_, generation_, 0};
      out_.reset();
      pending_.clear();
      pending_bytes_ = 0;
    }
    events_.on_link_down(stream);
  }

  uint32_t number() const noexcept { return number_; }

  /// Generation of the stream that is up; 0: none.
  uint32_t generation() const {
    const std::lock_guard lock(mutex_);
    return out_ ? generation_ : 0;
  }

  queued queue(uint32_t generation, const group::v1::LiveRequest& request) {
    const size_t bytes = request.has_push() ? request.push().body().size() : 0;
    const std::lock_guard lock(mutex_);
    if (!out_ || generation != generation_) return queued::no_stream;
    if (request.has_push() && pending_bytes_ + bytes > most_queued_bytes) return queued::full;
    pending_bytes_ += bytes;
    pending_.push_back(request);
    return queued::ok;
  }

  /// Sends in order, by one thread at a time; another one's requests are taken along.
  void flush() {
    std::unique_lock lock(mutex_);
    if (sending_) return;
    sending_ = true;
    while (out_ && !pending_.empty()) {
      auto batch = std::exchange(pending_, {});
      pending_bytes_ = 0;
      const auto out = out_;
      const uint32_t generation = generation_;
      lock.unlock();
      const bool sent = rpc::send_in_pieces(*out, batch);
      lock.lock();
      if (sent || generation != generation_) continue;
      if (out_) {  // its queue is full: the next tick tries again
        pending_bytes_ += pushed_bytes(batch);
        batch.insert(batch.end(), std::make_move_iterator(pending_.begin()), std::make_move_iterator(pending_.end()));
        pending_ = std::move(batch);
      }
      break;
    }
    sending_ = false;
  }

 private:
  const uint32_t number_;
  link_events& events_;
  mutable std::mutex mutex_;
  std::shared_ptr<rpc::sink<group::v1::LiveRequest>> out_;  // null: down
  uint32_t generation_ = 0;
  std::vector<group::v1::LiveRequest> pending_;
  size_t pending_bytes_ = 0;
  bool sending_ = false;
};

group_links::group_links(rpc::network& network, rpc::peer self, link_events& events)
    : network_(network), self_(std::move(self)), events_(events) {}

group_links::~group_links() { clear(); }

void group_links::apply(const placement::snapshot_ptr& current) {
  std::vector<entry> ended;  // outside of the lock: ending a link calls its handler
  {
    const std::lock_guard lock(mutex_);
    if (current->version <= map_->version) return;
    map_ = current;
    for (auto it = links_.begin(); it != links_.end();) {
      const placement::node* node = current->find_node(it->first);
      if (node != nullptr && node->service == "group" && node->address == it->second.address) {
        ++it;
        continue;
      }
      by_number_.erase(it->second.handler->number());
      ended.push_back(std::move(it->second));
      it = links_.erase(it);
    }
  }
}

place group_links::place_of(uint64_t vroom) {
  const std::lock_guard lock(mutex_);
  const placement::range* range = map_->groups.find(slot_of(vroom));
  if (range == nullptr || closed_) return {};
  const auto found = links_.find(range->owner);
  if (found == links_.end()) {
    wanted_.insert(range->owner);
    return {0, 0, range->epoch};
  }
  const uint32_t generation = found->second.handler->generation();
  return place{found->second.handler->number(), generation, range->epoch};
}

group_links::queued group_links::queue(const place& to, const group::v1::LiveRequest& request) {
  std::shared_ptr<one_link> link;
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_number_.find(to.link);
    if (found == by_number_.end()) return queued::no_stream;
    link = found->second;
  }
  return link->queue(to.generation, request);
}

void group_links::make_wanted() {
  for (;;) {
    std::string node, address;
    std::shared_ptr<one_link> handler;
    {
      const std::lock_guard lock(mutex_);
      if (wanted_.empty() || closed_) return;
      node = wanted_.extract(wanted_.begin()).value();
      const placement::node* known = map_->find_node(node);
      if (known == nullptr || links_.contains(node)) continue;
      address = known->address;
      handler = std::make_shared<one_link>(next_++, events_);
      by_number_[handler->number()] = handler;
      links_[node] = {address, handler, nullptr};
    }
    auto made = network_.connect<rpc::live_stream>(self_, address, handler);  // on_up may come from inside
    const std::lock_guard lock(mutex_);
    const auto there = links_.find(node);
    // If the node went away meanwhile, `made` ends the link when it leaves; the lock is free by then.
    if (there != links_.end() && there->second.handler == handler) there->second.link = std::move(made);
  }
}

void group_links::flush() {
  make_wanted();
  std::vector<std::shared_ptr<one_link>> all;
  {
    const std::lock_guard lock(mutex_);
    all.reserve(by_number_.size());
    for (const auto& [number, link] : by_number_) all.push_back(link);
  }
  for (const auto& each : all) each->flush();
}

void group_links::clear() {
  std::map<std::string, entry, std::less<>> ended;
  const auto end = [&] {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    by_number_.clear();
    ended.swap(links_);
  };
  end();
}

}  // namespace tern::gateway::live

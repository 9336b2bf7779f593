#include "services/gateway/links.hpp"

#include <algorithm>
#include <utility>

#include "libs/rpc/streams.hpp"

namespace tern::gateway {

namespace {

/// Io thread of a connection or call id.
size_t lane_of(uint64_t id) noexcept { return static_cast<size_t>(id >> 48U); }

uint64_t id_of(const session_item& item) noexcept {
  switch (item.item_case()) {
    case session_item::kLoginResult: return item.login_result().conn();
    case session_item::kBindResult: return item.bind_result().conn();
    case session_item::kOut: return item.out().conn();
    case session_item::kConfirm: return item.confirm().conn();
    case session_item::kClose: return item.close().conn();
    case session_item::kAccountResult: return item.account_result().call();
    case session_item::kRoomOut:
    case session_item::ITEM_NOT_SET: break;
  }
  return UINT64_MAX;
}

/// One stream after the other to one session node. Calls come one at a time; lanes keep their order.
class session_link final : public rpc::client_handler<rpc::attach_stream> {
 public:
  session_link(core& shared, lane_list lanes, uint32_t number, std::string node)
      : core_(shared), lanes_(std::move(lanes)), number_(number), node_(std::move(node)) {
    for (size_t i = 0; i < lanes_.size(); ++i) rooms_coming_.push_back(std::make_shared<std::atomic<size_t>>(0));
  }

  void on_up(std::shared_ptr<item_sink> out) override {
    const link_handle stream{number_, ++generation_};
    core_.metrics.links_up.add(1);
    core_.log.info("session link up", {{"session", node_}});
    for (const auto& each : lanes_) {
      each->post([each, stream, node = node_, out] { each->on_link_up(stream, node, out); });
    }
  }

  void on_items(std::vector<session_item>& items) override {
    const link_handle stream{number_, generation_};
    std::vector<lane_batch> parts(lanes_.size());
    if (parts.size() == 1 &&
        std::none_of(items.begin(), items.end(), [](const auto& one) { return one.has_room_out(); })) {
      parts.front().items = std::move(items);
      items.clear();
    }
    for (session_item& item : items) {
      if (item.has_room_out()) {
        split(item, parts);
        continue;
      }
      const size_t index = lanes_.size() == 1 ? 0 : lane_of(id_of(item));
      if (index < parts.size()) parts[index].items.push_back(std::move(item));
    }
    items.clear();
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!parts[i].empty()) hand_over(i, stream, std::move(parts[i]));
    }
  }

  void on_down() override {
    const link_handle stream{number_, generation_};
    core_.metrics.links_up.add(-1);
    core_.log.warn("session link down", {{"session", node_}});
    for (const auto& each : lanes_) {
      each->post([each, stream] { each->on_link_down(stream); });
    }
  }

 private:
  /// The message once for all threads, its connections to their own.
  static void split(session_item& item, std::vector<lane_batch>& parts) {
    const auto message = std::make_shared<const session::v1::RoomOut>(std::move(*item.mutable_room_out()));
    if (message->conns().empty()) return;
    if (parts.size() == 1) {
      parts.front().rooms.push_back({message, parts.front().items.size(), {}});
      return;
    }
    std::vector<std::vector<uint64_t>> conns(parts.size());
    for (const uint64_t conn : message->conns()) {
      if (const size_t index = lane_of(conn); index < conns.size()) conns[index].push_back(conn);
    }
    for (size_t i = 0; i < parts.size(); ++i) {
      if (!conns[i].empty()) parts[i].rooms.push_back({message, parts[i].items.size(), std::move(conns[i])});
    }
  }

  void hand_over(size_t index, link_handle stream, lane_batch items) {
    if (!items.rooms.empty()) {
      items.coming = rooms_coming_[index];
      items.coming->fetch_add(items.rooms.size(), std::memory_order_relaxed);
    }
    const std::shared_ptr<lane>& to = lanes_[index];
    auto batch = std::make_shared<lane_batch>(std::move(items));  // std::function wants to be copied
    to->post([to, stream, batch] { to->on_items(stream, *batch); });
  }

  core& core_;
  const lane_list lanes_;
  const uint32_t number_;
  const std::string node_;
  uint32_t generation_ = 0;
  std::vector<std::shared_ptr<std::atomic<size_t>>> rooms_coming_;  // by lane: see lane_batch
};

}  // namespace

session_links::session_links(core& shared, rpc::network& network, rpc::peer self, lane_list lanes)
    : core_(shared), network_(network), self_(std::move(self)), lanes_(std::move(lanes)) {}

session_links::~session_links() { clear(); }

void session_links::apply(const placement::snapshot_ptr& current) {
  for (auto it = links_.begin(); it != links_.end();) {
    const placement::node* node = current->find_node(it->first);
    const bool stays = node != nullptr && node->service == "session" && node->address == it->second.address;
    it = stays ? std::next(it) : links_.erase(it);
  }
  for (const placement::node& node : current->nodes) {
    if (node.service != "session" || !node.alive || links_.contains(node.name)) continue;
    auto handler = std::make_shared<session_link>(core_, lanes_, next_link_++, node.name);
    links_[node.name] = {node.address, network_.connect<rpc::attach_stream>(self_, node.address, std::move(handler))};
  }
  for (const auto& each : lanes_) {
    each->post([each, current] { each->on_map(current); });
  }
}

void session_links::clear() { links_.clear(); }

}  // namespace tern::gateway

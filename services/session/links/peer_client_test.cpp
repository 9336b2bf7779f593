#include "services/session/links/peer_client.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "libs/rpc/local_network.hpp"
#include "libs/testing/fake_clock.hpp"

namespace tern::session {
namespace {

/// A session node that only takes down what it gets.
class listener final : public rpc::server_handler<rpc::peer_stream> {
 public:
  explicit listener(std::vector<uint64_t>& heard) : heard_(heard) {}
  void on_items(std::vector<v1::PeerItem>& items) override {
    for (const auto& one : items) heard_.push_back(one.sender());
  }
  void on_down() override {}

 private:
  std::vector<uint64_t>& heard_;
};

class peer_client_test : public ::testing::Test {
 protected:
  ~peer_client_test() override { network->stop(); }

  void add_node(const std::string& name) {
    auto next = std::make_shared<placement::snapshot>(*map);
    next->nodes.push_back({name, "session", "local:" + name, 1, true});
    map = next;
    client.apply(map);
  }
  void serve(const std::string& name, std::vector<uint64_t>& heard) {
    network->serve<rpc::peer_stream>("local:" + name, [this, &heard](const rpc::peer& who, const auto&) {
      callers.push_back(who.node);
      return std::make_shared<listener>(heard);
    });
  }
  void send(const std::string& node, const std::vector<uint64_t>& senders) {
    std::vector<v1::PeerItem> items(senders.size());
    for (size_t i = 0; i < senders.size(); ++i) items[i].set_sender(senders[i]);
    client.send(node, items);
    EXPECT_TRUE(items.empty());
  }
  double counted(const std::string& result) {
    const std::string text = registry.render();
    const auto at = text.find("tern_session_peer_items_total{result=\"" + result + "\"}");
    return at == std::string::npos ? 0 : std::stod(text.substr(text.find('}', at) + 1));
  }

  metrics::registry registry;
  presence_metrics metrics{registry};
  testing::fake_clock time;
  std::unique_ptr<rpc::network> network = rpc::make_local_network();
  std::shared_ptr<const placement::snapshot> map = std::make_shared<placement::snapshot>();
  peer_client client{*network, {"session", "session-0", 1}, time, metrics, 4};
  std::vector<uint64_t> one, two;
  std::vector<std::string> callers;
};

TEST_F(peer_client_test, a_link_is_made_at_the_first_item_for_a_node) {
  serve("session-1", one);
  serve("session-2", two);
  add_node("session-1");
  add_node("session-2");
  EXPECT_TRUE(callers.empty());
  send("session-1", {1, 2});
  send("session-1", {3});
  EXPECT_EQ(callers, std::vector<std::string>{"session-0"});
  EXPECT_EQ(one, (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_TRUE(two.empty());
  EXPECT_EQ(counted("sent"), 3);
}

TEST_F(peer_client_test, what_waits_for_a_link_is_bounded_and_goes_in_order_when_it_is_up) {
  add_node("session-1");
  send("session-1", {1, 2, 3});
  send("session-1", {4, 5, 6});
  EXPECT_EQ(counted("dropped"), 2);
  serve("session-1", one);
  EXPECT_EQ(one, (std::vector<uint64_t>{1, 2, 3, 4}));
  send("session-1", {7});
  EXPECT_EQ(one.back(), 7U);
}

TEST_F(peer_client_test, what_waits_is_bounded_in_bytes_too_and_large_items_make_room_for_small_ones) {
  peer_client small{*network, {"session", "session-0", 1}, time, metrics, 100, 1000};
  add_node("session-1");
  small.apply(map);
  std::vector<v1::PeerItem> items(4);
  const size_t sizes[] = {600, 600, 400, 1};
  for (size_t i = 0; i < items.size(); ++i) {
    items[i].set_sender(i + 1);
    items[i].set_payload(std::string(sizes[i], 'x'));
  }
  small.send("session-1", items);
  EXPECT_EQ(counted("dropped"), 2);
  serve("session-1", one);
  EXPECT_EQ(one, (std::vector<uint64_t>{1, 3}));
  items.resize(1);
  items[0].set_sender(9);
  items[0].set_payload(std::string(900, 'x'));
  small.send("session-1", items);
  EXPECT_EQ(one.back(), 9U) << "nothing waits any more";
}

TEST_F(peer_client_test, what_has_waited_too_long_is_dropped) {
  add_node("session-1");
  send("session-1", {1, 2});
  time.advance(std::chrono::seconds(1));
  client.sweep();
  EXPECT_EQ(counted("dropped"), 0);
  time.advance(std::chrono::seconds(1));
  client.sweep();
  EXPECT_EQ(counted("dropped"), 2);
  serve("session-1", one);
  EXPECT_TRUE(one.empty());
}

TEST_F(peer_client_test, items_for_a_node_that_is_not_there_are_dropped) {
  send("session-9", {1});
  send("session-0", {1});  // ourselves: never over a link
  EXPECT_EQ(counted("dropped"), 2);
}

TEST_F(peer_client_test, a_node_that_moved_is_called_at_its_new_address) {
  serve("session-1", one);
  add_node("session-1");
  send("session-1", {1});
  serve("elsewhere", two);
  auto next = std::make_shared<placement::snapshot>(*map);
  next->nodes.front().address = "local:elsewhere";
  client.apply(next);
  send("session-1", {2});
  EXPECT_EQ(one, std::vector<uint64_t>{1});
  EXPECT_EQ(two, std::vector<uint64_t>{2});
}

TEST_F(peer_client_test, after_stop_nothing_is_sent) {
  serve("session-1", one);
  add_node("session-1");
  client.stop();
  send("session-1", {1});
  EXPECT_TRUE(one.empty());
}

}  // namespace
}  // namespace tern::session

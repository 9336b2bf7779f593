// The membership client against a routing of the test's own, over the local network.
#include "libs/placement/membership.hpp"

#include <gtest/gtest.h>

#include "libs/rpc/local_network.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/testing/fake_clock.hpp"

namespace tern::placement {
namespace {

using rpc::join_stream;

/// Notes what arrives; with the local network all calls come in the test's thread, except the 2 s heartbeats.
struct fake_routing {
  struct stream final : rpc::server_handler<join_stream> {
    explicit stream(fake_routing& of) : owner(of) {}
    void on_items(std::vector<join_stream::up>& items) override {
      for (auto& item : items) owner.items.push_back(item);
    }
    void on_down() override { ++owner.downs; }
    fake_routing& owner;
  };
  rpc::accept_function<join_stream> function() {
    return [this](const rpc::peer& who, std::shared_ptr<rpc::sink<join_stream::down>> to) {
      peers.push_back(who);
      out = std::move(to);
      return std::make_shared<stream>(*this);
    };
  }
  void answer(uint64_t sequence) {
    join_stream::down item;
    item.mutable_lease()->set_sequence(sequence);
    item.mutable_lease()->set_duration_ms(6000);
    out->send(item);
  }
  void publish(uint64_t version) {
    join_stream::down item;
    item.mutable_snapshot()->set_version(version);
    out->send(item);
  }

  std::vector<rpc::peer> peers;
  std::vector<join_stream::up> items;
  int downs = 0;
  std::shared_ptr<rpc::sink<join_stream::down>> out;
};

class membership_client : public ::testing::Test {
 protected:
  membership_client() { net->serve<join_stream>("local:routing-0", routing.function()); }
  ~membership_client() override { net->stop(); }

  fake_routing routing;
  testing::fake_clock time;
  std::unique_ptr<rpc::network> net = rpc::make_local_network();
  membership self{*net, time, {{"storage", "storage-0", 5}, "local:storage-0", {"a", "b"}, true, "local:routing-0"}};
};

TEST_F(membership_client, introduces_itself_and_asks_for_its_lease_at_once) {
  self.start();
  ASSERT_EQ(routing.items.size(), 2U);
  const auto& hello = routing.items[0].hello();
  EXPECT_EQ(hello.service(), "storage");
  EXPECT_EQ(hello.node(), "storage-0");
  EXPECT_EQ(hello.incarnation(), 5U);
  EXPECT_EQ(hello.address(), "local:storage-0");
  EXPECT_EQ(hello.shards_size(), 2);
  EXPECT_TRUE(hello.slots_wanted());
  EXPECT_EQ(routing.items[1].heartbeat().sequence(), 1U);
  EXPECT_EQ(routing.peers[0].node, "storage-0");
}

TEST_F(membership_client, trusts_its_lease_for_four_seconds_from_the_heartbeats_sending) {
  EXPECT_FALSE(self.lease_valid());
  self.start();
  EXPECT_FALSE(self.lease_valid());
  time.advance(std::chrono::milliseconds(1000));
  routing.answer(1);
  EXPECT_TRUE(self.lease_valid());
  EXPECT_EQ(self.lease_age_ms(), 1000);
  time.advance(std::chrono::milliseconds(2999));
  EXPECT_TRUE(self.lease_valid());
  time.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(self.lease_valid());
}

TEST_F(membership_client, feeds_the_view_and_ignores_old_maps) {
  self.start();
  routing.publish(7);
  routing.publish(6);
  EXPECT_EQ(self.cluster().get()->version, 7U);
}

TEST_F(membership_client, ignores_answers_to_heartbeats_it_never_sent) {
  self.start();
  routing.answer(99);
  EXPECT_FALSE(self.lease_valid());
}

TEST_F(membership_client, leaving_says_hello_without_wanting_slots_and_keeps_the_stream) {
  self.start();
  self.leave();
  self.leave();
  ASSERT_EQ(routing.items.size(), 3U);
  EXPECT_FALSE(routing.items[2].hello().slots_wanted());
  EXPECT_EQ(routing.downs, 0);
}

TEST_F(membership_client, stopping_says_goodbye_and_ends_the_stream) {
  self.start();
  self.stop();
  ASSERT_EQ(routing.items.size(), 3U);
  EXPECT_TRUE(routing.items[2].has_leave());
  EXPECT_EQ(routing.downs, 1);
  self.stop();
}

TEST_F(membership_client, goes_on_with_its_maps_when_routing_dies_and_needs_a_lease_again_when_it_is_back) {
  self.start();
  routing.publish(7);
  routing.answer(1);
  net->withdraw<join_stream>("local:routing-0");
  time.advance(std::chrono::minutes(5));
  EXPECT_EQ(self.cluster().get()->version, 7U);
  EXPECT_TRUE(self.lease_valid());
  net->serve<join_stream>("local:routing-0", routing.function());
  EXPECT_TRUE(self.lease_valid()) << "it has time to get one";
  time.advance(std::chrono::seconds(4));
  EXPECT_FALSE(self.lease_valid());
  routing.answer(routing.items.back().heartbeat().sequence());
  EXPECT_FALSE(self.lease_valid()) << "that heartbeat was sent 4 s ago";
}

TEST_F(membership_client, a_stream_that_breaks_after_the_lease_says_nothing_of_routing) {
  self.start();
  routing.answer(1);
  time.advance(std::chrono::seconds(4));
  net->withdraw<join_stream>("local:routing-0");
  EXPECT_FALSE(self.lease_valid());
}

}  // namespace
}  // namespace tern::placement

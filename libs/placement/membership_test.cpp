// The membership client against a routing of the test's own, over the local network.
#include "libs/placement/membership.hpp"

#include <gtest/gtest.h>

#include <array>
#include <mutex>
#include <thread>

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

  void not_leader(const std::string& address = {}) {
    join_stream::down item;
    item.mutable_not_leader()->set_address(address);
    out->send(item);
  }
  void change(uint64_t from, uint64_t version) {
    join_stream::down item;
    item.mutable_delta()->set_from(from);
    item.mutable_delta()->set_version(version);
    auto& node = *item.mutable_delta()->add_nodes();
    node.set_name("n" + std::to_string(version));
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

TEST_F(membership_client, goes_by_its_clock_alone_when_it_is_stepped) {
  self.step();
  ASSERT_EQ(routing.items.size(), 2U);
  EXPECT_TRUE(routing.items[0].has_hello());
  EXPECT_EQ(routing.items[1].heartbeat().sequence(), 1U);
  time.advance(std::chrono::milliseconds(1999));
  self.step();
  EXPECT_EQ(routing.items.size(), 2U);
  time.advance(std::chrono::milliseconds(1));
  self.step();
  ASSERT_EQ(routing.items.size(), 3U);
  EXPECT_EQ(routing.items[2].heartbeat().sequence(), 2U);
  routing.answer(2);
  EXPECT_TRUE(self.lease_valid());
  self.stop();
  self.step();
  EXPECT_EQ(routing.downs, 1);
}

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

TEST_F(membership_client, applies_changes_to_the_maps_it_has_and_asks_for_the_whole_otherwise) {
  self.start();
  routing.publish(7);
  routing.change(7, 8);
  EXPECT_EQ(self.cluster().get()->version, 8U);
  EXPECT_NE(self.cluster().get()->find_node("n8"), nullptr);
  routing.change(5, 6);
  EXPECT_EQ(routing.items.size(), 2U) << "old news";
  routing.change(9, 10);
  EXPECT_EQ(self.cluster().get()->version, 8U);
  ASSERT_EQ(routing.items.size(), 3U);
  EXPECT_TRUE(routing.items[2].has_map_wanted());
  routing.publish(10);
  EXPECT_EQ(self.cluster().get()->version, 10U);
}

TEST_F(membership_client, gets_orders_and_tells_of_its_load_and_of_what_became_of_them) {
  std::vector<move_order> orders;
  std::vector<bool> drains;
  membership_options about{{"session", "session-0", 6}, "local:session-0", {}, true, "local:routing-0"};
  about.on_move = [&](const move_order& order) { orders.push_back(order); };
  about.on_drain = [&](bool on) { drains.push_back(on); };
  about.load = [] { return uint64_t{1234}; };
  membership mover(*net, time, about);
  mover.start();
  EXPECT_TRUE(routing.items[0].hello().moves());
  EXPECT_EQ(routing.items[1].heartbeat().load(), 1234U);
  join_stream::down item;
  auto& order = *item.mutable_move();
  order.set_move(77);
  order.set_kind(routing::v1::MoveOrder::GROUPS);
  order.set_first(64);
  order.set_last(127);
  order.set_epoch(5);
  order.set_target("group-1");
  order.set_address("local:group-1");
  routing.out->send(item);
  ASSERT_EQ(orders.size(), 1U);
  EXPECT_EQ(orders[0].move, 77U);
  EXPECT_EQ(orders[0].kind, range_kind::groups);
  EXPECT_EQ(orders[0].last, 127U);
  EXPECT_EQ(orders[0].address, "local:group-1");
  mover.move_done({77, errc::overload, 3, std::chrono::microseconds(40)});
  EXPECT_EQ(routing.items.back().move_result().move(), 77U);
  EXPECT_EQ(routing.items.back().move_result().code(), static_cast<int>(errc::overload));
  item.mutable_drain()->set_on(true);
  routing.out->send(item);
  EXPECT_EQ(drains, std::vector<bool>{true});
  mover.stop();
}

TEST_F(membership_client, hands_on_shards_and_their_moves_and_says_on_each_stream_what_it_serves) {
  std::vector<std::string> shards;
  std::vector<uint64_t> moves;
  membership_options about{{"storage", "storage-1", 6}, "local:storage-1", {"s0"}, true, "local:routing-0"};
  about.on_shards = [&](const routing::v1::ShardList& all) {
    for (const auto& one : all.shards()) shards.push_back(one.name() + "=" + one.dsn());
  };
  about.on_shard_move = [&](const routing::v1::ShardMoveOrder& order) { moves.push_back(order.move()); };
  membership node(*net, time, about);
  node.start();
  join_stream::down list, order;
  auto& place = *list.mutable_shards()->add_shards();
  place.set_name("s1");
  place.set_dsn("sqlite:/x");
  routing.out->send(list);
  order.mutable_shard_move()->set_move(9);
  routing.out->send(order);
  EXPECT_EQ(shards, std::vector<std::string>{"s1=sqlite:/x"});
  EXPECT_EQ(moves, std::vector<uint64_t>{9});
  routing::v1::ShardMoveProgress progress;
  progress.set_move(9);
  progress.set_state(routing::v1::ShardMoveProgress::READY);
  node.shard_moved(progress);
  EXPECT_EQ(routing.items.back().shard_move().state(), routing::v1::ShardMoveProgress::READY);
  routing::v1::ShardsServed served;
  served.add_shards()->set_name("s1");
  node.shards_served(served);
  EXPECT_EQ(routing.items.back().shards_served().shards(0).name(), "s1");
  routing.items.clear();
  net->withdraw<join_stream>("local:routing-0");
  net->serve<join_stream>("local:routing-0", routing.function());
  ASSERT_GE(routing.items.size(), 3U);
  EXPECT_TRUE(routing.items[0].has_hello());
  ASSERT_TRUE(routing.items[1].has_shards_served());
  EXPECT_EQ(routing.items[1].shards_served().shards(0).name(), "s1");
  node.stop();
}

/// Three replicas. Which of them leads is up to the test; the node's thread finds it out, in real time.
class membership_of_replicas : public ::testing::Test {
 protected:
  struct replica {
    std::string address;
    std::mutex mutex;
    bool leads = false;
    std::string hint;
    int hellos = 0;
    std::shared_ptr<rpc::sink<join_stream::down>> out;
  };
  struct stream final : rpc::server_handler<join_stream> {
    explicit stream(replica& of, std::shared_ptr<rpc::sink<join_stream::down>> to) : owner(of), out(std::move(to)) {}
    void on_items(std::vector<join_stream::up>& items) override {
      for (const auto& item : items) {
        join_stream::down answer;
        {
          const std::lock_guard lock(owner.mutex);
          if (item.has_hello()) ++owner.hellos;
          if (!owner.leads) {
            answer.mutable_not_leader()->set_address(owner.hint);
          } else if (item.has_heartbeat()) {
            answer.mutable_lease()->set_sequence(item.heartbeat().sequence());
          } else {
            continue;
          }
        }
        out->send(answer);
      }
    }
    void on_down() override {}
    replica& owner;
    std::shared_ptr<rpc::sink<join_stream::down>> out;
  };

  ~membership_of_replicas() override {
    self.stop();
    net->stop();
  }
  void serve(size_t i) {
    all[i].address = "local:routing-" + std::to_string(i);
    net->serve<join_stream>(all[i].address,
                            [this, i](const rpc::peer&, std::shared_ptr<rpc::sink<join_stream::down>> out) {
                              return std::make_shared<stream>(all[i], std::move(out));
                            });
  }
  void lead(size_t i, bool on) {
    const std::lock_guard lock(all[i].mutex);
    all[i].leads = on;
  }
  int hellos(size_t i) {
    const std::lock_guard lock(all[i].mutex);
    return all[i].hellos;
  }
  static bool reached(const std::function<bool()>& what) {
    for (int i = 0; i < 1000; ++i) {
      if (what()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool leased_now() {
    return reached([this] { return self.lease_age_ms() == 0; });
  }

  testing::fake_clock time;
  std::unique_ptr<rpc::network> net = rpc::make_local_network();
  std::array<replica, 4> all;
  membership self{
      *net,
      time,
      {{"session", "session-0", 5}, "local:session-0", {}, true, "local:routing-0, local:routing-1,local:routing-2"}};
};

TEST_F(membership_of_replicas, finds_the_one_that_leads) {
  for (size_t i = 0; i < 3; ++i) serve(i);
  lead(2, true);
  self.start();
  EXPECT_TRUE(leased_now());
  EXPECT_TRUE(self.lease_valid());
}

TEST_F(membership_of_replicas, goes_to_a_leader_that_is_not_in_its_list) {
  for (size_t i = 0; i < 4; ++i) serve(i);
  all[1].hint = "local:routing-3";
  lead(3, true);
  self.start();
  EXPECT_TRUE(leased_now());
  EXPECT_EQ(hellos(3), 1);
}

TEST_F(membership_of_replicas, fails_over_when_the_leader_dies) {
  for (size_t i = 0; i < 3; ++i) serve(i);
  lead(0, true);
  self.start();
  ASSERT_TRUE(leased_now());
  net->withdraw<join_stream>("local:routing-0");
  time.advance(std::chrono::milliseconds(5500));
  EXPECT_TRUE(self.lease_valid()) << "the next one cannot give anything away yet";
  lead(1, true);
  EXPECT_TRUE(leased_now());
  EXPECT_TRUE(self.lease_valid());
}

TEST_F(membership_of_replicas, that_all_died_or_are_out_of_reach_ends_its_trust) {
  for (size_t i = 0; i < 3; ++i) serve(i);
  lead(0, true);
  self.start();
  ASSERT_TRUE(leased_now());
  for (size_t i = 0; i < 3; ++i) net->withdraw<join_stream>("local:routing-" + std::to_string(i));
  time.advance(std::chrono::milliseconds(9000));
  EXPECT_FALSE(self.lease_valid());
}

TEST_F(membership_of_replicas, goes_on_while_all_of_them_say_that_they_do_not_lead) {
  for (size_t i = 0; i < 3; ++i) serve(i);
  lead(0, true);
  self.start();
  ASSERT_TRUE(leased_now());
  lead(0, false);  // their meta database is away
  all[0].out.reset();
  net->withdraw<join_stream>("local:routing-0");
  serve(0);
  for (int i = 0; i < 5; ++i) {
    const auto before = std::array{hellos(0), hellos(1), hellos(2)};
    ASSERT_TRUE(
        reached([&] { return hellos(0) > before[0] + 1 && hellos(1) > before[1] + 1 && hellos(2) > before[2] + 1; }));
    time.advance(std::chrono::seconds(8));
    EXPECT_TRUE(self.lease_valid());
  }
}

TEST_F(membership_of_replicas, gives_a_silent_leader_up) {
  for (size_t i = 1; i < 3; ++i) serve(i);
  struct mute final : rpc::server_handler<join_stream> {
    void on_items(std::vector<join_stream::up>&) override {}
    void on_down() override {}
  };
  net->serve<join_stream>("local:routing-0", [](const rpc::peer&, auto) { return std::make_shared<mute>(); });
  self.start();
  time.advance(std::chrono::seconds(3));
  lead(1, true);
  EXPECT_TRUE(leased_now());
}

}  // namespace
}  // namespace tern::placement

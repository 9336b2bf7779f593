// Three replicas of routing over one meta database, with nodes on the local network; every replica has a clock of its
// own, moved by hand. A replica whose clock stands still and whose streams are gone is as good as killed.
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <thread>

#include "libs/actor/actor.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/placement/membership.hpp"
#include "libs/rpc/local_network.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/testing/fake_clock.hpp"
#include "libs/testing/temp_dir.hpp"
#include "services/routing/app.hpp"

namespace tern::routing {
namespace {

using std::chrono::milliseconds;

class fake_health final : public app::health {
 public:
  void set_ready(const std::string&, bool ready, const std::string&) override { ready_ = ready; }
  void add_liveness(const std::string&, std::function<bool()>) override {}
  bool ready() const { return ready_; }

 private:
  std::atomic<bool> ready_ = false;
};

bool reached(const std::function<bool()>& what) {
  for (int i = 0; i < 1000; ++i) {
    if (what()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

class routing_replicas : public ::testing::Test {
 protected:
  struct replica {
    testing::fake_clock time;
    metrics::registry metrics;
    fake_health health;
    std::unique_ptr<app::context> where;
    std::unique_ptr<app::service> service;
    bool dead = false;
    bool leads() { return !dead && metrics.render().find("\ntern_routing_leader 1") != std::string::npos; }
  };

  routing_replicas() {
    for (size_t i = 0; i < all.size(); ++i) start(i, 1);
  }
  ~routing_replicas() override {
    for (auto& [name, each] : nodes) each->stop();
    for (auto& each : all) each->service.reset();
    net->stop();
  }
  void start(size_t i, uint64_t incarnation) {
    all[i] = std::make_unique<replica>();
    routing_config options;
    options.meta_dsn = "sqlite:" + directory.file("meta.db");
    options.shards = {"a", "b"};
    options.settle = milliseconds(0);
    const auto name = "routing-" + std::to_string(i);
    all[i]->where =
        std::make_unique<app::context>(app::context{all[i]->time, all[i]->metrics, actors, *net, all[i]->health, name,
                                                    10 * (i + 1) + incarnation, "local:" + name, list});
    all[i]->service = make_routing_service(*all[i]->where, options);
    const auto started = all[i]->service->start();
    ASSERT_TRUE(started) << started.error().detail;
    ASSERT_TRUE(all[i]->health.ready());
  }
  placement::membership& add(const std::string& kind, const std::string& name) {
    placement::membership_options about;
    about.self = {kind, name, 1};
    about.address = "local:" + name;
    about.slots_wanted = kind != "gateway";
    if (kind == "storage") about.shards = {"a", "b"};
    about.routing_address = list;
    nodes[name] = std::make_unique<placement::membership>(*net, time, about);
    nodes[name]->start();
    return *nodes[name];
  }
  /// As by kill -9.
  void kill(size_t i) {
    all[i]->dead = true;
    net->withdraw<rpc::join_stream>("local:routing-" + std::to_string(i));
  }
  void advance(milliseconds by) {
    time.advance(by);
    for (auto& each : all) {
      if (!each->dead) each->time.advance(by);
    }
  }
  std::optional<size_t> leader() const {
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i]->leads()) return i;
    }
    return std::nullopt;
  }
  /// Time goes on until one leads; how long it took, by the clocks.
  milliseconds until_one_leads() {
    milliseconds passed{0};
    while (!leader() && passed < milliseconds(20'000)) {
      advance(milliseconds(250));
      passed += milliseconds(250);
      std::this_thread::sleep_for(milliseconds(150));  // a tick of every replica
    }
    return passed;
  }
  void settle_in() {
    add("session", "session-0");
    add("session", "session-1");
    auto& gateway = add("gateway", "gateway-0");
    add("storage", "storage-0");
    ASSERT_TRUE(reached([&] {
      const auto maps = gateway.cluster().get();
      return maps->sessions.ranges().size() >= 2 && maps->find_shard("b") != nullptr &&
             maps->find_shard("b")->owner == "storage-0";
    }));
    ASSERT_TRUE(reached([&] {
      for (auto& [name, each] : nodes) {
        if (!each->lease_valid()) return false;
      }
      return true;
    }));
  }
  void expect_all_valid(const char* when) {
    for (auto& [name, each] : nodes) EXPECT_TRUE(each->lease_valid()) << name << " " << when;
  }
  /// All nodes have a lease of whoever leads now.
  bool all_leased() {
    return reached([&] {
      for (auto& [name, each] : nodes) {
        if (each->lease_age_ms() > 250) return false;
      }
      return true;
    });
  }

  const std::string list = "local:routing-0,local:routing-1, local:routing-2";
  testing::temp_dir directory;
  testing::fake_clock time;  // of the nodes
  actor::system_config config = actor::make_actor_config(2);
  caf::actor_system actors{config};
  std::unique_ptr<rpc::network> net = rpc::make_local_network();
  std::array<std::unique_ptr<replica>, 3> all;
  std::map<std::string, std::unique_ptr<placement::membership>> nodes;
};

TEST_F(routing_replicas, the_first_leads_the_others_follow_and_all_are_ready) {
  EXPECT_EQ(leader(), 0U);
  EXPECT_FALSE(all[1]->leads());
  EXPECT_FALSE(all[2]->leads());
}

TEST_F(routing_replicas, when_the_leader_is_killed_another_goes_on_with_its_maps) {
  settle_in();
  const auto before = nodes["gateway-0"]->cluster().get();
  kill(0);
  const auto took = until_one_leads();
  EXPECT_LE(took, milliseconds(6000));
  expect_all_valid("while nobody leads");
  ASSERT_TRUE(all_leased());
  expect_all_valid("with the new leader");
  ASSERT_TRUE(reached([&] { return nodes["gateway-0"]->cluster().get()->version > before->version; }));
  const auto after = nodes["gateway-0"]->cluster().get();
  EXPECT_EQ(after->sessions, before->sessions) << "nobody moved, no epoch changed";
  EXPECT_EQ(after->shards, before->shards);
  EXPECT_TRUE(after->find_node("session-1")->alive);
}

TEST_F(routing_replicas, a_leader_that_is_stopped_makes_room_at_once) {
  settle_in();
  const auto before = nodes["gateway-0"]->cluster().get();
  all[0]->service->stop();
  all[0]->dead = true;
  EXPECT_LE(until_one_leads(), milliseconds(1000));
  ASSERT_TRUE(all_leased());
  expect_all_valid("with the new leader");
  EXPECT_EQ(nodes["gateway-0"]->cluster().get()->sessions, before->sessions);
}

TEST_F(routing_replicas, a_node_that_dies_with_the_leader_keeps_its_ranges_until_it_surely_has_stopped) {
  settle_in();
  const auto before = nodes["gateway-0"]->cluster().get();
  kill(0);
  nodes["session-1"]->stop();  // Leave reaches nobody
  nodes.erase("session-1");
  until_one_leads();
  ASSERT_TRUE(all_leased());
  // Of a node that was cut off from everybody: its last heartbeat was sent before the leader died, and it stops 9 s
  // after that at the latest (lease_trust_test). The new leader is silent about its ranges for 10 s from its start.
  milliseconds passed{0};
  while (passed < milliseconds(9500)) {
    advance(milliseconds(250));
    passed += milliseconds(250);
    std::this_thread::sleep_for(milliseconds(120));
    ASSERT_EQ(nodes["gateway-0"]->cluster().get()->sessions, before->sessions) << passed.count();
  }
  ASSERT_TRUE(reached([&] {
    advance(milliseconds(250));
    std::this_thread::sleep_for(milliseconds(120));
    const auto maps = nodes["gateway-0"]->cluster().get();
    for (const auto& each : maps->sessions.ranges()) {
      if (each.owner != "session-0") return false;
    }
    return true;
  }));
  const auto after = nodes["gateway-0"]->cluster().get();
  for (const auto& old : before->sessions.ranges()) {
    EXPECT_GE(after->sessions.find(old.first)->epoch, old.epoch) << "epochs only grow";
  }
}

TEST_F(routing_replicas, the_old_leader_wakes_up_and_follows) {
  settle_in();
  kill(0);
  until_one_leads();
  const auto second = leader();
  ASSERT_TRUE(second);
  ASSERT_TRUE(all_leased());
  all[0]->dead = false;
  all[0]->time.advance(std::chrono::seconds(30));
  ASSERT_TRUE(reached([&] { return !all[0]->leads(); }));
  EXPECT_EQ(leader(), second);
}

}  // namespace
}  // namespace tern::routing

// The routing service as a whole, with nodes on the local network and a clock moved by hand.
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "libs/actor/actor.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/placement/convert.hpp"
#include "libs/placement/membership.hpp"
#include "libs/rpc/local_network.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/testing/fake_clock.hpp"
#include "libs/testing/temp_dir.hpp"
#include "services/routing/app.hpp"
#include "services/routing/meta_store.hpp"

namespace tern::routing {
namespace {

using std::chrono::milliseconds;

class fake_health final : public app::health {
 public:
  void set_ready(const std::string& condition, bool ready, const std::string&) override {
    const std::lock_guard lock(mutex_);
    ready_[condition] = ready;
  }
  void add_liveness(const std::string&, std::function<bool()>) override {}
  bool ready(const std::string& condition) {
    const std::lock_guard lock(mutex_);
    return ready_[condition];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, bool> ready_;
};

/// A node that does only what the test says.
class node final : public rpc::client_handler<rpc::join_stream>, public std::enable_shared_from_this<node> {
 public:
  node(std::string service, std::string name, uint64_t incarnation, std::vector<std::string> shards = {})
      : self_{std::move(service), std::move(name), incarnation}, shards_(std::move(shards)) {}

  void connect(rpc::network& net, const std::string& to = "local:routing-0") {
    link_ = net.connect<rpc::join_stream>(self_, to, shared_from_this());
  }
  /// As when the process is killed.
  void vanish() { link_.reset(); }

  void on_up(std::shared_ptr<rpc::sink<rpc::join_stream::up>> out) override {
    {
      const std::lock_guard lock(mutex_);
      out_ = out;
    }
    hello(self_.service != "gateway");
    beat();
  }
  void on_items(std::vector<v1::RoutingItem>& items) override {
    const std::lock_guard lock(mutex_);
    for (const auto& item : items) {
      if (item.has_lease()) leased_ = item.lease().sequence();
      if (item.has_snapshot()) maps_ = *placement::from_proto(item.snapshot());
      if (item.has_delta()) {
        ++deltas_;
        if (maps_) maps_ = *placement::apply(*maps_, placement::from_proto(item.delta()));
      }
      if (item.has_not_leader()) sent_away_ = item.not_leader().address();
    }
    changed_.notify_all();
  }
  void on_down() override {
    const std::lock_guard lock(mutex_);
    out_.reset();
  }
  void hello(bool slots_wanted) {
    v1::NodeItem item;
    auto& hello = *item.mutable_hello();
    hello.set_service(self_.service);
    hello.set_node(self_.node);
    hello.set_incarnation(self_.incarnation);
    hello.set_address("local:" + self_.node);
    for (const auto& shard : shards_) hello.add_shards(shard);
    hello.set_slots_wanted(slots_wanted);
    send(std::move(item));
  }
  void beat() {
    v1::NodeItem item;
    item.mutable_heartbeat()->set_sequence(++sequence_);
    item.mutable_heartbeat()->set_map_version(says_ != 0 ? says_.load() : ~0ULL);
    send(std::move(item));
  }
  bool renewed() {
    return wait([this] { return leased_ == sequence_; });
  }
  bool sees(const std::function<bool(const placement::snapshot&)>& what) {
    return wait([&] { return maps_ && what(*maps_); });
  }
  bool was_sent_away_to(const std::string& address) {
    return wait([&] { return sent_away_ == address; });
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    maps_.reset();
  }
  void ask_for_maps() {
    v1::NodeItem item;
    item.mutable_map_wanted();
    send(std::move(item));
  }
  /// What its heartbeats name as its maps; 0: newer ones than there are.
  void says(uint64_t version) { says_ = version; }
  size_t deltas() {
    const std::lock_guard lock(mutex_);
    return deltas_;
  }
  placement::snapshot maps() {
    const std::lock_guard lock(mutex_);
    return *maps_;
  }

 private:
  void send(v1::NodeItem item) {
    std::shared_ptr<rpc::sink<rpc::join_stream::up>> out;
    {
      const std::lock_guard lock(mutex_);
      out = out_;
    }
    if (out) out->send(std::move(item));
  }
  bool wait(const std::function<bool()>& reached) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), reached);
  }

  const rpc::peer self_;
  const std::vector<std::string> shards_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<rpc::sink<rpc::join_stream::up>> out_;
  std::atomic<uint64_t> sequence_ = 0;
  std::atomic<uint64_t> says_ = 0;
  uint64_t leased_ = 0;
  size_t deltas_ = 0;
  std::optional<std::string> sent_away_;
  placement::snapshot_ptr maps_;
  std::unique_ptr<rpc::link> link_;  // last: it goes first
};

size_t slots_of(const placement::snapshot& maps, const std::string& name) {
  size_t sum = 0;
  for (const auto& each : maps.sessions.ranges()) {
    if (each.owner == name) sum += each.last - each.first + 1;
  }
  return sum;
}

class routing : public ::testing::Test {
 protected:
  routing() { start(1); }
  ~routing() override {
    nodes.clear();
    service.reset();
    net->stop();
  }
  void start(uint64_t incarnation) {
    routing_config options;
    options.meta_dsn = "sqlite:" + directory.file("meta.db");
    options.shards = {"a", "b"};
    options.settle = settle;
    where = std::make_unique<app::context>(app::context{time, metrics, actors, *net, health, "routing-0", incarnation,
                                                        "local:routing-0", "local:routing-0"});
    service = make_routing_service(*where, options);
    const auto started = service->start();
    ASSERT_TRUE(started) << started.error().detail;
    ASSERT_TRUE(health.ready("routing.maps"));
  }
  node& add(const std::string& kind, const std::string& name, uint64_t incarnation = 1,
            std::vector<std::string> shards = {}) {
    nodes[name] = std::make_shared<node>(kind, name, incarnation, std::move(shards));
    nodes[name]->connect(*net);
    return *nodes[name];
  }

  /// Time goes on, and the leader renews its lease meanwhile: it leads no more after a jump.
  void pass(milliseconds by) {
    const auto watched = make_meta_store("sqlite:" + directory.file("meta.db"));
    while (by.count() > 0) {
      const auto one = std::min(by, milliseconds(1000));
      const auto beat = watched->leader()->beat;
      time.advance(one);
      by -= one;
      for (int i = 0; i < 1000 && one.count() == 1000 && watched->leader()->beat == beat; ++i) {
        std::this_thread::sleep_for(milliseconds(5));
      }
    }
  }

  static constexpr milliseconds settle{0};
  testing::temp_dir directory;
  testing::fake_clock time;
  metrics::registry metrics;
  fake_health health;
  actor::system_config config = actor::make_actor_config(2);
  caf::actor_system actors{config};
  std::unique_ptr<rpc::network> net = rpc::make_local_network();
  std::unique_ptr<app::context> where;
  std::unique_ptr<app::service> service;
  std::map<std::string, std::shared_ptr<node>> nodes;
};

TEST_F(routing, nodes_join_get_leases_and_share_the_slots) {
  auto& gateway = add("gateway", "gateway-0");
  for (const auto* name : {"session-0", "session-1", "session-2"}) add("session", name);
  add("storage", "storage-0", 1, {"a", "b"});
  ASSERT_TRUE(gateway.sees([](const auto& maps) {
    return slots_of(maps, "session-0") > 300'000 && slots_of(maps, "session-1") > 300'000 &&
           slots_of(maps, "session-2") > 300'000 && maps.find_shard("b") != nullptr &&
           maps.find_shard("b")->owner == "storage-0";
  }));
  for (auto& [name, each] : nodes) EXPECT_TRUE(each->renewed()) << name;
  const auto maps = gateway.maps();
  EXPECT_EQ(maps.find_node("session-1")->address, "local:session-1");
  EXPECT_EQ(maps.storage.find(0)->owner, "a");
  EXPECT_TRUE(maps.find_node("routing-0")->alive);
  EXPECT_NE(metrics.render().find("tern_routing_nodes{service=\"session\",state=\"alive\"} 3"), std::string::npos);
}

TEST_F(routing, a_killed_nodes_slots_go_to_the_others) {
  auto& survivor = add("session", "session-0");
  add("session", "session-1");
  ASSERT_TRUE(survivor.sees([](const auto& maps) { return slots_of(maps, "session-1") == slot_count / 2; }));
  const auto before = survivor.maps();
  nodes["session-1"]->vanish();
  survivor.beat();
  ASSERT_TRUE(survivor.renewed()) << "routing has seen the end of the other by now";
  pass(milliseconds(2000));
  ASSERT_TRUE(survivor.sees([](const auto& maps) { return slots_of(maps, "session-0") == slot_count; }));
  const auto after = survivor.maps();
  for (const auto& old : before.sessions.ranges()) {
    EXPECT_EQ(after.sessions.find(old.first)->epoch > old.epoch, old.owner == "session-1");
  }
}

TEST_F(routing, a_restarted_node_keeps_its_slots_with_a_new_epoch) {
  auto& other = add("session", "session-0");
  add("session", "session-1");
  ASSERT_TRUE(other.sees([](const auto& maps) { return slots_of(maps, "session-1") == slot_count / 2; }));
  const auto before = other.maps();
  nodes["session-1"]->vanish();
  add("session", "session-1", 2);
  ASSERT_TRUE(other.sees([&](const auto& maps) {
    const auto* again = maps.find_node("session-1");
    return again != nullptr && again->incarnation == 2;
  }));
  const auto after = other.maps();
  for (const auto& old : before.sessions.ranges()) {
    EXPECT_EQ(after.sessions.find(old.first)->owner, old.owner);
    EXPECT_EQ(after.sessions.find(old.first)->epoch > old.epoch, old.owner == "session-1");
  }
}

TEST_F(routing, a_draining_node_gives_its_slots_away_and_stays) {
  auto& draining = add("session", "session-0");
  add("session", "session-1");
  ASSERT_TRUE(draining.sees([](const auto& maps) { return slots_of(maps, "session-1") == slot_count / 2; }));
  draining.hello(false);
  ASSERT_TRUE(draining.sees([](const auto& maps) { return slots_of(maps, "session-1") == slot_count; }));
  EXPECT_TRUE(draining.maps().find_node("session-0")->alive);
}

TEST_F(routing, maps_survive_a_restart_of_routing_and_absent_nodes_have_their_time_to_come_back) {
  auto& stays = add("session", "session-0");
  add("session", "session-1");
  ASSERT_TRUE(stays.sees([](const auto& maps) { return slots_of(maps, "session-1") == slot_count / 2; }));
  service->stop();
  const auto before = stays.maps();
  nodes["session-1"]->vanish();
  start(2);
  stays.beat();
  ASSERT_TRUE(stays.sees([](const auto& maps) { return maps.find_node("routing-0")->incarnation == 2; }));
  EXPECT_EQ(stays.maps().sessions, before.sessions);
  EXPECT_GT(stays.maps().version, before.version);
  pass(milliseconds(5000));
  stays.beat();
  ASSERT_TRUE(stays.renewed());
  pass(milliseconds(4900));
  stays.beat();
  ASSERT_TRUE(stays.renewed());
  EXPECT_EQ(stays.maps().sessions, before.sessions);
  time.advance(milliseconds(100));
  ASSERT_TRUE(stays.sees([](const auto& maps) { return slots_of(maps, "session-0") == slot_count; }));
}

TEST_F(routing, the_newest_incarnation_of_a_name_wins) {
  auto& watcher = add("gateway", "gateway-0");
  add("session", "session-0", 1);
  const auto old = nodes["session-0"];
  add("session", "session-0", 2);
  ASSERT_TRUE(watcher.sees([](const auto& maps) {
    const auto* each = maps.find_node("session-0");
    return each != nullptr && each->incarnation == 2;
  }));
  old->vanish();
  nodes["session-0"]->beat();
  EXPECT_TRUE(nodes["session-0"]->renewed());
}

TEST_F(routing, a_cold_start_of_a_whole_cluster_takes_less_than_a_second) {
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::unique_ptr<placement::membership>> members;
  for (const std::string kind : {"storage", "session", "group", "gateway"}) {
    placement::membership_options about;
    about.self = {kind, kind + "-0", 1};
    about.address = "local:" + kind + "-0";
    about.slots_wanted = kind != "gateway";
    if (kind == "storage") about.shards = {"a", "b"};
    about.routing_address = "local:routing-0";
    members.push_back(std::make_unique<placement::membership>(*net, time, about));
    members.back()->start();
  }
  auto& watcher = add("gateway", "gateway-1");
  ASSERT_TRUE(watcher.sees([](const auto& maps) {
    return slots_of(maps, "session-0") == slot_count && maps.groups.find(7) != nullptr &&
           maps.find_shard("a") != nullptr && maps.find_shard("a")->owner == "storage-0";
  }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(1));
  EXPECT_TRUE(members[1]->lease_valid());
}

TEST_F(routing, sends_what_has_changed_and_the_whole_to_who_asks_or_stays_behind) {
  auto& watcher = add("gateway", "gateway-0");
  add("session", "session-0");
  ASSERT_TRUE(watcher.sees([](const auto& maps) { return slots_of(maps, "session-0") == slot_count; }));
  EXPECT_GE(watcher.deltas(), 1U);
  const auto version = watcher.maps().version;
  watcher.forget();
  watcher.ask_for_maps();
  ASSERT_TRUE(watcher.sees([&](const auto& maps) { return maps.version == version; }));
  watcher.forget();
  watcher.says(version - 1);
  pass(milliseconds(4000));
  watcher.beat();
  ASSERT_TRUE(watcher.sees([&](const auto& maps) { return maps.version == version; }));
}

TEST_F(routing, a_leader_that_slept_for_too_long_sends_everybody_away_and_begins_anew) {
  auto& watcher = add("gateway", "gateway-0");
  add("session", "session-0");
  add("session", "session-1");
  ASSERT_TRUE(watcher.sees([](const auto& maps) { return slots_of(maps, "session-1") == slot_count / 2; }));
  const auto before = watcher.maps();
  time.advance(std::chrono::seconds(30));
  ASSERT_TRUE(watcher.was_sent_away_to(""));
  ASSERT_TRUE(watcher.renewed()) << "it has joined again";
  EXPECT_EQ(watcher.maps().sessions, before.sessions) << "nobody was taken for dead";
  EXPECT_TRUE(watcher.sees([&](const auto&) {
    return metrics.render().find("\ntern_routing_leader 1") != std::string::npos;
  })) << "it leads again";
}

}  // namespace
}  // namespace tern::routing

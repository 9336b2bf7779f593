// Moves and what operators ask for, through the whole service: real memberships and a Control stream on the local
// network.
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
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
constexpr auto patience = std::chrono::seconds(10);

class no_health final : public app::health {
 public:
  void set_ready(const std::string&, bool, const std::string&) override {}
  void add_liveness(const std::string&, std::function<bool()>) override {}
};

/// Keeps all replies of its stream.
class operator_client final : public rpc::client_handler<rpc::control_stream>,
                              public std::enable_shared_from_this<operator_client> {
 public:
  void connect(rpc::network& net, const std::string& to) {
    link_ = net.connect<rpc::control_stream>({"ctl", "operator", 1}, to, shared_from_this());
  }
  void on_up(std::shared_ptr<rpc::sink<v1::ControlRequest>> out) override {
    const std::lock_guard lock(mutex_);
    out_ = std::move(out);
    changed_.notify_all();
  }
  void on_items(std::vector<v1::ControlReply>& items) override {
    const std::lock_guard lock(mutex_);
    for (auto& each : items) replies_.push_back(std::move(each));
    changed_.notify_all();
  }
  void on_down() override {
    const std::lock_guard lock(mutex_);
    out_.reset();
  }
  void send(v1::ControlRequest what) {
    std::shared_ptr<rpc::sink<v1::ControlRequest>> out;
    {
      std::unique_lock lock(mutex_);
      ASSERT_TRUE(changed_.wait_for(lock, patience, [&] { return out_ != nullptr; }));
      out = out_;
    }
    out->send(std::move(what));
  }
  v1::ControlReply ask(v1::ControlRequest what) {
    what.set_call(++calls_);
    const auto call = what.call();
    send(std::move(what));
    v1::ControlReply found;
    EXPECT_TRUE(hears([&](const auto& reply) {
      found = reply;
      return reply.call() == call;
    }));
    return found;
  }
  bool hears(const std::function<bool(const v1::ControlReply&)>& what) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return std::any_of(replies_.begin(), replies_.end(), what); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<rpc::sink<v1::ControlRequest>> out_;
  std::vector<v1::ControlReply> replies_;
  uint64_t calls_ = 100;
  std::unique_ptr<rpc::link> link_;  // last: it goes first
};

class routing_operators : public ::testing::Test {
 protected:
  struct member {
    std::unique_ptr<placement::membership> at;
    std::atomic<size_t> orders{0};
    std::atomic<int> drain{-1};
  };

  routing_operators() {
    start(1);
    op = std::make_shared<operator_client>();
    op->connect(*net, "local:routing-0");
  }
  ~routing_operators() override {
    op.reset();
    for (auto& [name, each] : members) each->at->stop();
    members.clear();
    service.reset();
    net->stop();
  }
  void start(uint64_t incarnation) {
    routing_config options;
    options.meta_dsn = "sqlite:" + directory.file("meta.db");
    options.shards = {"a"};
    options.settle = milliseconds(0);
    options.move_rest = milliseconds(0);
    where = std::make_unique<app::context>(app::context{time, metrics, actors, *net, health, "routing-0", incarnation,
                                                        "local:routing-0", "local:routing-0"});
    service = make_routing_service(*where, options);
    ASSERT_TRUE(service->start());
  }
  void add(const std::string& kind, const std::string& name) {
    auto& made = *(members[name] = std::make_unique<member>());
    placement::membership_options about;
    about.self = {kind, name, 1};
    about.address = "local:" + name;
    about.slots_wanted = kind != "gateway";
    about.routing_address = "local:routing-0";
    about.on_move = [&made](const placement::move_order& order) {
      ++made.orders;
      made.at->move_done({order.move, errc::ok, 3, std::chrono::microseconds(1500)});
    };
    about.on_drain = [&made](bool on) { made.drain = on ? 1 : 0; };
    about.load = [] { return uint64_t{12}; };
    made.at = std::make_unique<placement::membership>(*net, time, about);
    made.at->start();
  }
  static bool reached(const std::function<bool()>& what) {
    for (int i = 0; i < 1000; ++i) {
      if (what()) return true;
      std::this_thread::sleep_for(milliseconds(10));
    }
    return false;
  }
  size_t slots_of(const std::string& name) {
    size_t sum = 0;
    const auto maps = members.begin()->second->at->cluster().get();
    for (const auto& each : maps->sessions.ranges()) {
      if (each.owner == name) sum += each.last - each.first + 1;
    }
    return sum;
  }

  testing::temp_dir directory;
  testing::fake_clock time;
  metrics::registry metrics;
  no_health health;
  actor::system_config config = actor::make_actor_config(2);
  caf::actor_system actors{config};
  std::unique_ptr<rpc::network> net = rpc::make_local_network();
  std::unique_ptr<app::context> where;
  std::unique_ptr<app::service> service;
  std::map<std::string, std::unique_ptr<member>> members;
  std::shared_ptr<operator_client> op;
};

TEST_F(routing_operators, a_joining_node_gets_what_the_other_hands_over) {
  add("session", "session-0");
  ASSERT_TRUE(reached([&] { return slots_of("session-0") == slot_count; }));
  EXPECT_EQ(members["session-0"]->orders, 0U);
  add("session", "session-1");
  ASSERT_TRUE(reached([&] { return slots_of("session-1") == slot_count / 2; }));
  EXPECT_GE(members["session-0"]->orders, 1U);
  const auto text = metrics.render();
  EXPECT_NE(text.find("tern_routing_moves_total{reason=\"join\",result=\"committed\"} 1"), std::string::npos);
  EXPECT_NE(text.find("tern_routing_move_seconds_count{phase=\"order\"} 1"), std::string::npos);
}

TEST_F(routing_operators, a_migration_is_done_told_and_kept) {
  add("session", "session-0");
  add("session", "session-1");
  ASSERT_TRUE(reached([&] { return slots_of("session-1") == slot_count / 2; }));
  v1::ControlRequest watch;
  watch.set_call(1);
  watch.mutable_status()->set_watch(true);
  op->send(watch);
  ASSERT_TRUE(op->hears([](const auto& reply) { return reply.call() == 1 && reply.status().nodes_size() == 3; }));
  const bool first_is_0 = members["session-0"]->at->cluster().get()->sessions.find(0)->owner == "session-0";
  v1::ControlRequest what;
  what.mutable_migrate()->set_first(0);
  what.mutable_migrate()->set_last(639);
  what.mutable_migrate()->set_target(first_is_0 ? "session-1" : "session-0");
  const auto reply = op->ask(what);
  EXPECT_EQ(reply.code(), 0) << reply.text();
  EXPECT_GE(reply.plan_size(), 1);
  time.advance(milliseconds(300));
  EXPECT_TRUE(op->hears([](const auto& news) {
    return news.call() == 1 && news.status().pinned_size() == 1 && news.status().moves_done() > 0;
  }));
  service.reset();
  start(2);
  v1::ControlRequest ask;
  ask.mutable_status();
  EXPECT_EQ(op->ask(ask).status().pinned_size(), 1) << "the next leader knows";
}

TEST_F(routing_operators, a_gateway_is_told_that_it_drains_also_by_the_next_leader) {
  add("gateway", "gateway-0");
  ASSERT_TRUE(reached([&] { return members["gateway-0"]->at->cluster().get()->find_node("gateway-0") != nullptr; }));
  v1::ControlRequest what;
  what.mutable_drain()->set_node("gateway-0");
  what.mutable_drain()->set_on(true);
  EXPECT_EQ(op->ask(what).code(), 0);
  ASSERT_TRUE(reached([&] { return members["gateway-0"]->drain == 1; }));
  service.reset();
  members["gateway-0"]->drain = -1;
  start(2);
  ASSERT_TRUE(reached([&] { return members["gateway-0"]->drain == 1; }));
  what.mutable_drain()->set_on(false);
  EXPECT_EQ(op->ask(what).code(), 0);
  ASSERT_TRUE(reached([&] { return members["gateway-0"]->drain == 0; }));
}

}  // namespace
}  // namespace tern::routing

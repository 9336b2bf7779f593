// Two group nodes and routing, no storage at all; gateways are played by the test. Over links inside one process and
// over gRPC.
#include <gtest/gtest.h>

#include <algorithm>
#include <caf/all.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "libs/actor/actor.hpp"
#include "libs/app/health.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/placement/membership.hpp"
#include "libs/rpc/grpc_network.hpp"
#include "libs/rpc/local_network.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/testing/temp_dir.hpp"
#include "services/group/app.hpp"
#include "services/group/config.hpp"
#include "services/routing/app.hpp"

namespace tern::testing {
namespace {

namespace v1 = group::v1;
using namespace std::chrono_literals;
constexpr auto patience = 30s;
constexpr room_id vroom{0x1000'0000'0000'0001};
constexpr account_id owner_account{101};
constexpr account_id guest_account{102};

/// One service with what a process would give it.
struct running {
  std::unique_ptr<rpc::network> own;  // null: the common one
  metrics::registry registry;
  app::health_state health;
  std::unique_ptr<app::context> with;
  std::unique_ptr<app::service> it;
};

/// A gateway: asks the owner of the room and keeps what it is told, as gateways do.
class gateway_end {
 public:
  gateway_end(rpc::network& network, placement::view& cluster, std::string name)
      : network_(network), cluster_(cluster), name_(std::move(name)) {}
  ~gateway_end() { links_.clear(); }

  void connect(const std::string& node, const std::string& address) {
    links_.push_back(
        network_.connect<rpc::live_stream>({"gateway", name_, 1}, address, std::make_shared<handler>(*this, node)));
  }

  /// Asked until it is answered with anything but wrong_owner.
  errc insist(v1::LiveRequest request) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end) {
      const uint64_t call = ++calls_;
      request.set_call(call);
      if (send(request)) {
        std::unique_lock held(mutex_);
        wake_.wait_for(held, 3s, [&] { return answers_.contains(call); });
        const auto at = answers_.find(call);
        const auto code = at == answers_.end() ? errc::deadline : static_cast<errc>(at->second.code());
        if (code != errc::wrong_owner && code != errc::deadline) return code;
        request.set_again(true);
      }
      std::this_thread::sleep_for(5ms);  // the maps are on their way
    }
    return errc::deadline;
  }
  /// With what is known of the room, if anything is.
  errc listen(account_id account) {
    auto what = request(account);
    what.mutable_interest()->set_on(true);
    {
      const std::lock_guard held(mutex_);
      if (known_.version() != 0) *what.mutable_interest()->mutable_known() = known_;
    }
    return insist(std::move(what));
  }
  bool push(account_id account, const std::string& body) {
    auto what = request(account);
    what.mutable_push()->set_body(body);
    return send(std::move(what));
  }
  static v1::LiveRequest request(account_id account) {
    v1::LiveRequest out;
    out.set_vroom(vroom.value);
    out.set_account(account.value);
    out.set_domain("d");
    return out;
  }

  bool wait_for(const std::function<bool()>& good) {
    std::unique_lock held(mutex_);
    return wake_.wait_for(held, patience, good);
  }
  bool has(const std::string& body) {
    const std::lock_guard held(mutex_);
    return std::count(bodies.begin(), bodies.end(), body) > 0;
  }

  // Under the lock of wait_for().
  std::vector<std::string> bodies;
  std::vector<uint64_t> seqs;
  std::vector<errc> refusals;
  bool gone = false;
  uint64_t version() const { return known_.version(); }

 private:
  class handler final : public rpc::client_handler<rpc::live_stream> {
   public:
    handler(gateway_end& owner, std::string node) : owner_(owner), node_(std::move(node)) {}
    void on_up(std::shared_ptr<rpc::sink<v1::LiveRequest>> out) override {
      const std::lock_guard held(owner_.mutex_);
      owner_.sinks_[node_] = std::move(out);
    }
    void on_items(std::vector<v1::LiveReply>& items) override {
      const std::lock_guard held(owner_.mutex_);
      for (v1::LiveReply& one : items) owner_.take(one);
      owner_.wake_.notify_all();
    }
    void on_down() override {
      const std::lock_guard held(owner_.mutex_);
      owner_.sinks_.erase(node_);
    }

   private:
    gateway_end& owner_;
    const std::string node_;
  };

  bool send(v1::LiveRequest what) {
    std::shared_ptr<rpc::sink<v1::LiveRequest>> out;
    const auto map = cluster_.get();
    const placement::range* range = map->groups.find(slot_of(vroom));
    if (range == nullptr) return false;
    {
      const std::lock_guard held(mutex_);
      const auto at = sinks_.find(range->owner);
      if (at == sinks_.end()) return false;
      out = at->second;
    }
    what.set_epoch(range->epoch);
    return out->send(std::move(what));
  }
  void take(v1::LiveReply& one) {
    if (one.has_frame()) {
      bodies.push_back(one.frame().body());
      seqs.push_back(one.frame().seq());
    } else if (one.has_answer()) {
      if (one.answer().has_state()) known_ = one.answer().state();
      answers_[one.answer().call()] = std::move(*one.mutable_answer());
    } else if (one.has_state()) {
      known_ = one.state();
    } else if (one.has_gone()) {
      gone = true;
    } else if (one.has_refused()) {
      refusals.push_back(static_cast<errc>(one.refused().code()));
    }
  }

  rpc::network& network_;
  placement::view& cluster_;
  const std::string name_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::shared_ptr<rpc::sink<v1::LiveRequest>>> sinks_;
  std::map<uint64_t, v1::LiveAnswer> answers_;
  v1::LiveState known_;
  std::atomic<uint64_t> calls_{0};
  std::vector<std::unique_ptr<rpc::link>> links_;
};

/// GetParam() is "local" or "grpc".
class live_group : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    routing_config_.meta_dsn = "memory:";
    routing_config_.shards = {"main"};
    routing_config_.settle = 0ms;
    routing_config_.move_rest = 0ms;
    group_config_.vroom_settle = 500ms;  // this machine is slow
    common_ = grpc() ? rpc::make_grpc_network(grpc_options("gateway", "test")) : rpc::make_local_network();
    ASSERT_TRUE(common_->start());
    launch("routing", "routing-0",
           [this](app::context& with) { return routing::make_routing_service(with, routing_config_); });
    for (const char* name : {"group-0", "group-1"}) launch_group(name);
    member_ = std::make_unique<placement::membership>(
        *common_, system_clock(),
        placement::membership_options{{"gateway", "test", 1}, address("test"), {}, false, address("routing-0")});
    member_->start();
    one_ = make_gateway("gateway-0");
    two_ = make_gateway("gateway-1");
    ASSERT_TRUE(wait_until([this] { return owners() == 2; }));
  }
  void TearDown() override {
    one_.reset();
    two_.reset();
    if (member_) member_->stop();
    for (const char* name : {"group-1", "group-0", "routing-0"}) stop(name);
    services_.clear();
    common_->stop();
  }

  static bool grpc() { return GetParam() == "grpc"; }
  std::string address(const std::string& name) const {
    return grpc() ? "unix:" + directory_.file(name) : "local:" + name;
  }
  rpc::grpc_options grpc_options(const std::string& service, const std::string& name) const {
    rpc::grpc_options how;
    how.self = {service, name, 1};
    how.listen_address = address(name);
    return how;
  }
  void launch(const std::string& service, const std::string& name,
              const std::function<std::unique_ptr<app::service>(app::context&)>& make) {
    auto& fresh = services_[name] = std::make_unique<running>();
    if (grpc()) {
      fresh->own = rpc::make_grpc_network(grpc_options(service, name));
      ASSERT_TRUE(fresh->own->start());
    }
    rpc::network& network = fresh->own ? *fresh->own : *common_;
    fresh->with =
        std::make_unique<app::context>(app::context{system_clock(), fresh->registry, actors_, network, fresh->health,
                                                    name, ++incarnations_, address(name), address("routing-0")});
    fresh->it = make(*fresh->with);
    const auto started = fresh->it->start();
    ASSERT_TRUE(started) << started.error().detail;
    fresh->health.set_started();
  }
  void launch_group(const std::string& name) {
    launch("group", name, [this](app::context& with) { return group::make_group_service(with, group_config_); });
  }
  void stop(const std::string& name) {
    const auto at = services_.find(name);
    if (at == services_.end() || !at->second->it) return;
    at->second->it->stop();
    at->second->it.reset();
    if (at->second->own) at->second->own->stop();
  }
  std::unique_ptr<gateway_end> make_gateway(const std::string& name) {
    auto made = std::make_unique<gateway_end>(*common_, member_->cluster(), name);
    for (const char* node : {"group-0", "group-1"}) made->connect(node, address(node));
    return made;
  }
  static bool wait_until(const std::function<bool()>& good) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!good()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(2ms);
    }
    return true;
  }
  size_t owners() {
    std::map<std::string, int> all;
    const auto map = member_->cluster().get();
    for (const placement::range& range : map->groups.ranges()) ++all[range.owner];
    return all.size();
  }
  std::string owner() {
    const auto map = member_->cluster().get();
    const placement::range* range = map->groups.find(slot_of(vroom));
    return range == nullptr ? "" : range->owner;
  }
  /// Made by the first gateway, watched by both, the guest may push.
  void make_room() {
    auto make = gateway_end::request(owner_account);
    make.mutable_create();
    ASSERT_EQ(one_->insist(make), errc::ok);
    ASSERT_EQ(two_->listen(guest_account), errc::ok);
    auto grant = gateway_end::request(owner_account);
    grant.mutable_grant()->set_account(guest_account.value);
    grant.mutable_grant()->set_on(true);
    ASSERT_EQ(one_->insist(grant), errc::ok);
    ASSERT_TRUE(two_->wait_for([this] { return two_->version() == 2; }));
  }
  /// Pushed until it went through: pushes on their way to a former owner are lost.
  bool push_through(gateway_end& from, account_id account, const std::string& body, gateway_end& to) {
    return wait_until([&] {
      from.push(account, body);
      std::this_thread::sleep_for(10ms);  // not a storm
      return to.has(body);
    });
  }

  temp_dir directory_;
  actor::system_config actor_config_{2};
  caf::actor_system actors_{actor_config_};
  std::unique_ptr<rpc::network> common_;
  routing::routing_config routing_config_;
  group::group_config group_config_;
  uint64_t incarnations_ = 0;
  std::map<std::string, std::unique_ptr<running>> services_;
  std::unique_ptr<placement::membership> member_;
  std::unique_ptr<gateway_end> one_, two_;
};

TEST_P(live_group, pushes_of_two_gateways_reach_both_in_one_order_and_each_in_its_own) {
  make_room();
  constexpr int each = 500;
  for (int i = 0; i < each; ++i) {
    ASSERT_TRUE(one_->push(owner_account, "a" + std::to_string(i)));
    ASSERT_TRUE(two_->push(guest_account, "b" + std::to_string(i)));
  }
  const auto all = [](gateway_end& at) { return at.wait_for([&at] { return at.bodies.size() == 2 * each; }); };
  ASSERT_TRUE(all(*one_));
  ASSERT_TRUE(all(*two_));
  EXPECT_EQ(one_->bodies, two_->bodies);
  int a = 0, b = 0;
  for (size_t i = 0; i < one_->bodies.size(); ++i) {
    EXPECT_EQ(one_->seqs[i], i + 1);
    const std::string& body = one_->bodies[i];
    EXPECT_EQ(body, body[0] == 'a' ? "a" + std::to_string(a++) : "b" + std::to_string(b++));
  }
  EXPECT_TRUE(one_->refusals.empty());
}

TEST_P(live_group, what_follows_a_creation_on_its_stream_is_done_after_it) {
  auto make = gateway_end::request(owner_account);
  make.mutable_create();
  // The maps may not have arrived everywhere: a first room makes sure.
  ASSERT_EQ(one_->insist(make), errc::ok);
  auto remove = gateway_end::request(owner_account);
  remove.mutable_remove();
  ASSERT_EQ(two_->listen(guest_account), errc::ok);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(one_->push(owner_account, std::to_string(i)));
  ASSERT_EQ(one_->insist(remove), errc::ok);
  ASSERT_TRUE(two_->wait_for([this] { return two_->gone; }));
  EXPECT_EQ(two_->bodies.size(), 100U);
  ASSERT_TRUE(one_->push(owner_account, "late"));
  ASSERT_TRUE(one_->wait_for([this] { return !one_->refusals.empty(); }));
  EXPECT_EQ(one_->refusals.front(), errc::no_such_object);
  EXPECT_EQ(two_->bodies.size(), 100U);
}

/// Owners stop, drained or not; each next one goes on from what gateways know.
TEST_P(live_group, a_room_goes_on_when_its_owner_goes) {
  make_room();
  ASSERT_TRUE(push_through(*one_, owner_account, "first", *two_));
  for (int round = 0; round < 2; ++round) {
    const std::string old = owner();
    if (round == 0) services_[old]->it->drain(20s);
    stop(old);
    ASSERT_TRUE(wait_until([&] { return !owner().empty() && owner() != old; }));
    ASSERT_EQ(two_->listen(guest_account), errc::ok);
    ASSERT_EQ(one_->listen(owner_account), errc::ok);
    EXPECT_EQ(one_->version(), 2U);
    ASSERT_TRUE(push_through(*two_, guest_account, "round " + std::to_string(round), *one_));
    launch_group(old);
    ASSERT_TRUE(wait_until([this] { return owners() == 2; }));
    ASSERT_EQ(one_->listen(owner_account), errc::ok);
    ASSERT_EQ(two_->listen(guest_account), errc::ok);
  }
  auto remove = gateway_end::request(owner_account);
  remove.mutable_remove();
  ASSERT_EQ(one_->insist(remove), errc::ok);
  EXPECT_TRUE(two_->wait_for([this] { return two_->gone; }));
}

/// Between living nodes: what was pushed arrives once and in order, unless a refusal says that it did not.
TEST_P(live_group, a_drained_owner_hands_the_room_over_while_frames_flow) {
  make_room();
  ASSERT_TRUE(push_through(*one_, owner_account, "0", *two_));
  const std::string old = owner();
  std::atomic<bool> done{false};
  std::atomic<int> pushed{0};
  std::thread pusher([&] {
    while (!done) {
      if (one_->push(owner_account, std::to_string(pushed + 1))) ++pushed;
      std::this_thread::sleep_for(1ms);
    }
  });
  std::thread follower([&] {  // as gateways do when they see the map
    EXPECT_TRUE(wait_until([&] { return !owner().empty() && owner() != old; }));
    EXPECT_EQ(two_->listen(guest_account), errc::ok);
    EXPECT_EQ(one_->listen(owner_account), errc::ok);
  });
  EXPECT_TRUE(wait_until([this] { return two_->has("50"); }));
  services_[old]->it->drain(20s);
  EXPECT_FALSE(services_[old]->health.ready().good);
  follower.join();
  EXPECT_EQ(two_->version(), 2U);
  stop(old);
  const int until = pushed + 50;
  EXPECT_TRUE(wait_until([&] { return pushed >= until; }));
  done = true;
  pusher.join();
  ASSERT_TRUE(wait_until([&] { return two_->has(std::to_string(pushed)); }));
  int last = 0;
  size_t missing = 0;
  for (const std::string& body : two_->bodies) {
    const int number = std::stoi(body);
    if (number == 0) continue;
    EXPECT_GT(number, last) << "again, or out of order";
    missing += static_cast<size_t>(number - last - 1);
    last = number;
  }
  EXPECT_LE(missing, one_->refusals.size());
  std::cout << "of " << pushed.load() << " frames " << missing << " were refused\n";
  ASSERT_TRUE(push_through(*two_, guest_account, "still allowed", *one_));
}

TEST_P(live_group, a_room_nobody_remembers_is_over) {
  make_room();
  const std::string old = owner();
  stop(old);
  ASSERT_TRUE(wait_until([&] { return !owner().empty() && owner() != old; }));
  auto fresh = make_gateway("gateway-2");
  EXPECT_EQ(fresh->listen(guest_account), errc::no_such_object);
}

INSTANTIATE_TEST_SUITE_P(over, live_group, ::testing::Values("local", "grpc"),
                         [](const auto& what) { return what.param; });

}  // namespace
}  // namespace tern::testing

// Two storage nodes over one PostgreSQL database: the one that serves is drained under load.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <caf/all.hpp>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "libs/actor/actor.hpp"
#include "libs/app/health.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/placement/membership.hpp"
#include "libs/rpc/local_network.hpp"
#include "libs/shards/storage_client.hpp"
#include "libs/testing/servers.hpp"
#include "services/routing/app.hpp"
#include "services/storage/app.hpp"
#include "services/storage/config.hpp"

namespace tern::testing {
namespace {

namespace v1 = storage::v1;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
constexpr auto patience = 30s;
constexpr room_id room{0x1000'0000'0000'0001};
constexpr account_id founder{101};

postgres_server& postgres() {
  static auto server = postgres_server::start();
  if (!server) ADD_FAILURE() << server.error().detail;
  return **server;
}

struct running {
  metrics::registry registry;
  app::health_state health;
  std::unique_ptr<app::context> with;
  std::unique_ptr<app::service> it;
};

v1::StorageRequest message(uint64_t number) {
  v1::StorageRequest out;
  auto& append = *out.mutable_room_append();
  append.set_room(room.value);
  append.set_sender(founder.value);
  append.set_key("k" + std::to_string(number));
  append.set_body("m" + std::to_string(number));
  append.set_accepted_ns(1);
  return out;
}

/// What became of each message, in the order of the answers.
class answers {
 public:
  void take(uint64_t number, steady::time_point asked, const shards::storage_answer& got) {
    const std::lock_guard held(mutex_);
    longest_ = std::max(longest_, steady::now() - asked);
    if (got.code != errc::ok) ++refused_;
    if (got.code == errc::ok) mids_.emplace_back(number, got.reply.appended().mid());
    ++count_;
    wake_.notify_all();
  }
  bool wait_for(uint64_t count) {
    std::unique_lock held(mutex_);
    return wake_.wait_for(held, patience, [&] { return count_ >= count; });
  }
  std::vector<std::pair<uint64_t, uint64_t>> mids() {
    const std::lock_guard held(mutex_);
    return mids_;
  }
  uint64_t refused() {
    const std::lock_guard held(mutex_);
    return refused_;
  }
  steady::duration longest() {
    const std::lock_guard held(mutex_);
    return longest_;
  }
  uint64_t count() {
    const std::lock_guard held(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::pair<uint64_t, uint64_t>> mids_;  // number of the message, its mid
  uint64_t count_ = 0;
  uint64_t refused_ = 0;
  steady::duration longest_{};
};

class storage_drain : public ::testing::Test {
 protected:
  void SetUp() override {
    static int count = 0;
    const auto name = "drain_" + std::to_string(++count);
    ASSERT_TRUE(postgres().create_database(name));
    routing_config_.meta_dsn = "memory:";
    routing_config_.shards = {"main"};
    routing_config_.settle = 0ms;
    storage_config_.shards = {"main=" + postgres().dsn(name)};
    storage_config_.encryption_key = std::string(64, 'e');
    launch("routing-0", [this](app::context& with) { return routing::make_routing_service(with, routing_config_); });
    launch_storage("storage-0");
    member_ = std::make_unique<placement::membership>(
        *network_, system_clock(),
        placement::membership_options{{"gateway", "test", 1}, "local:test", {}, false, "local:routing-0"});
    client_ = std::make_unique<shards::storage_client>(*network_, rpc::peer{"session", "session-0", 1},
                                                       system_clock(), shards::shard_channel::limits{10s, 65536});
    member_->start();
    sweeper_ = std::thread([this] { follow(); });
    ASSERT_TRUE(wait_until([this] { return owner() == "storage-0"; }));
  }
  void TearDown() override {
    done_ = true;
    if (sweeper_.joinable()) sweeper_.join();
    if (client_) client_->stop();
    if (member_) member_->stop();
    for (const char* name : {"storage-1", "storage-0", "routing-0"}) stop(name);
    network_->stop();
    services_.clear();
  }

  /// What a session node's supervisor does.
  void follow() {
    placement::snapshot_ptr seen;
    while (!done_) {
      if (const auto now = member_->cluster().get(); now != seen) client_->apply(seen = now);
      client_->sweep();
      std::this_thread::sleep_for(2ms);
    }
  }
  void launch(const std::string& name, const std::function<std::unique_ptr<app::service>(app::context&)>& make) {
    auto& fresh = services_[name] = std::make_unique<running>();
    fresh->with = std::make_unique<app::context>(app::context{system_clock(), fresh->registry, actors_, *network_,
                                                              fresh->health, name, ++incarnations_, "local:" + name,
                                                              "local:routing-0"});
    fresh->it = make(*fresh->with);
    const auto started = fresh->it->start();
    ASSERT_TRUE(started) << started.error().detail;
    fresh->health.set_started();
  }
  void launch_storage(const std::string& name) {
    launch(name, [this](app::context& with) { return storage::make_storage_service(with, storage_config_); });
  }
  void stop(const std::string& name) {
    const auto at = services_.find(name);
    if (at == services_.end() || !at->second->it) return;
    at->second->it->stop();
    at->second->it.reset();
  }
  static bool wait_until(const std::function<bool()>& good) {
    const auto end = steady::now() + patience;
    while (!good()) {
      if (steady::now() > end) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }
  std::string owner() {
    const auto map = member_->cluster().get();
    const placement::shard* shard = map->find_shard("main");
    return shard == nullptr ? "" : shard->owner;
  }
  bool knows(const std::string& node) {
    const auto map = member_->cluster().get();
    const auto* found = map->find_node(node);
    return found != nullptr && found->alive;
  }
  void send(uint64_t number) {
    client_->ask(
        slot_of(room), message(number), shards::patience::deadline,
        [this, number, asked = steady::now()](shards::storage_answer& got) { got_.take(number, asked, got); });
  }
  void make_room() {
    v1::StorageRequest make;
    make.mutable_room_create()->set_room(room.value);
    make.mutable_room_create()->set_founder(founder.value);
    make.mutable_room_create()->set_kind(v1::ROOM_OPEN);
    make.mutable_room_create()->set_name("room");
    make.mutable_room_create()->set_key("made");
    const auto end = steady::now() + patience;
    int code = -1;
    while (code != 0 && steady::now() < end) {  // until the maps have reached everybody
      auto got = std::make_shared<std::promise<errc>>();
      client_->ask(slot_of(room), make, shards::patience::deadline,
                   [got](shards::storage_answer& answer) { got->set_value(answer.code); });
      code = static_cast<int>(got->get_future().get());
      if (code != 0) std::this_thread::sleep_for(5ms);
    }
    ASSERT_EQ(code, 0);
  }
  /// In the order they were sent, without a hole or a repeat.
  void expect_all(uint64_t sent) {
    ASSERT_TRUE(got_.wait_for(sent));
    EXPECT_EQ(got_.refused(), 0U);
    const auto mids = got_.mids();
    ASSERT_EQ(mids.size(), sent);
    for (uint64_t i = 0; i < sent; ++i) {
      EXPECT_EQ(mids[i].first, i + 1) << "answered out of order";
      EXPECT_EQ(mids[i].second, i + 1) << "stored out of order, twice, or with a hole";
    }
  }

  actor::system_config actor_config_{2};
  caf::actor_system actors_{actor_config_};
  std::unique_ptr<rpc::network> network_ = rpc::make_local_network();
  routing::routing_config routing_config_;
  storage::storage_config storage_config_;
  uint64_t incarnations_ = 0;
  std::map<std::string, std::unique_ptr<running>> services_;
  std::unique_ptr<placement::membership> member_;
  std::unique_ptr<shards::storage_client> client_;
  answers got_;
  std::atomic<bool> done_{false};
  std::thread sweeper_;
};

TEST_F(storage_drain, under_load_the_shard_goes_to_the_other_node_within_a_second_and_nothing_fails) {
  make_room();
  launch_storage("storage-1");
  ASSERT_TRUE(wait_until([this] { return knows("storage-1"); }));
  std::atomic<bool> enough{false};
  std::atomic<uint64_t> sent{0};
  std::thread writer([&] {
    while (!enough) {
      send(++sent);
      std::this_thread::sleep_for(500us);
    }
  });
  EXPECT_TRUE(got_.wait_for(200));
  const auto begun = steady::now();
  services_["storage-0"]->it->drain(20s);
  const auto took = steady::now() - begun;
  EXPECT_FALSE(services_["storage-0"]->health.ready().good);
  EXPECT_EQ(owner(), "storage-1");
  stop("storage-0");
  EXPECT_TRUE(got_.wait_for(got_.count() + 200));
  enough = true;
  writer.join();
  expect_all(sent);
  const auto ms = [](steady::duration one) { return std::chrono::duration_cast<std::chrono::milliseconds>(one); };
  RecordProperty("longest_answer_ms", std::to_string(ms(got_.longest()).count()));
  RecordProperty("drain_ms", std::to_string(ms(took).count()));
  std::cout << "longest answer " << ms(got_.longest()).count() << " ms, drain " << ms(took).count() << " ms\n";
  EXPECT_LT(got_.longest(), 1s);
  EXPECT_LT(took, 5s);
}

TEST_F(storage_drain, alone_finishes_what_it_has_and_goes) {
  make_room();
  for (uint64_t i = 1; i <= 500; ++i) send(i);
  const auto begun = steady::now();
  services_["storage-0"]->it->drain(20s);
  EXPECT_LT(steady::now() - begun, 5s);
  stop("storage-0");
  // What had not arrived when it went waits for its successor.
  launch_storage("storage-0");
  expect_all(500);
}

}  // namespace
}  // namespace tern::testing

// Two group nodes with real storage and routing over local links; session nodes are played by the test.
#include <gtest/gtest.h>

#include <caf/all.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "libs/actor/actor.hpp"
#include "libs/app/health.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/placement/membership.hpp"
#include "libs/rpc/local_network.hpp"
#include "libs/rpc/streams.hpp"
#include "libs/shards/storage_client.hpp"
#include "libs/testing/servers.hpp"
#include "services/group/app.hpp"
#include "services/group/config.hpp"
#include "services/routing/app.hpp"
#include "services/storage/app.hpp"
#include "services/storage/config.hpp"

namespace tern::testing {
namespace {

namespace v1 = group::v1;
using namespace std::chrono_literals;
constexpr auto patience = 30s;
constexpr room_id room{0x1000'0000'0000'0001};
constexpr account_id founder{101};

postgres_server& postgres() {
  static auto server = postgres_server::start();
  if (!server) ADD_FAILURE() << server.error().detail;
  return **server;
}

/// One service with what a process would give it.
struct running {
  metrics::registry registry;
  app::health_state health;
  std::unique_ptr<app::context> with;
  std::unique_ptr<app::service> it;

  bool ready() const { return health.ready().good; }
};

/// A session node: asks the owner of the room, follows its frames.
class session_end {
 public:
  session_end(rpc::network& network, placement::view& cluster, std::string name)
      : network_(network), cluster_(cluster), name_(std::move(name)) {}
  ~session_end() { links_.clear(); }

  void connect(const std::string& node) {
    links_.push_back(network_.connect<rpc::group_stream>({"session", name_, 1}, "local:" + node,
                                                         std::make_shared<handler>(*this, node)));
  }

  /// Sends without waiting; false when the owner cannot be reached now.
  bool send(v1::GroupRequest request, uint64_t call) {
    std::shared_ptr<rpc::sink<v1::GroupRequest>> out;
    const auto map = cluster_.get();
    const placement::range* range = map->groups.find(slot_of(room_id{request.room()}));
    if (range == nullptr) return false;
    {
      const std::lock_guard held(mutex_);
      const auto at = sinks_.find(range->owner);
      if (at == sinks_.end()) return false;
      out = at->second;
      if (request.has_interest()) {
        subscribed_ = false;
        interest_call_ = call;
        owner_ = range->owner;
      }
    }
    request.set_call(call);
    request.set_epoch(range->epoch);
    return out->send(std::move(request));
  }
  uint64_t new_call() { return ++calls_; }
  v1::Answer answer(uint64_t call) {
    std::unique_lock held(mutex_);
    v1::Answer none;
    none.set_code(static_cast<int32_t>(errc::deadline));
    if (!wake_.wait_for(held, patience, [&] { return answers_.contains(call); })) return none;
    return answers_[call];
  }
  /// Asked until it is answered with anything but wrong_owner, as session nodes do.
  v1::Answer insist(const v1::GroupRequest& request) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < end) {
      const uint64_t call = new_call();
      if (send(request, call)) {
        std::unique_lock held(mutex_);
        wake_.wait_for(held, 500ms, [&] { return answers_.contains(call); });
        const auto at = answers_.find(call);
        const auto code = at == answers_.end() ? errc::deadline : static_cast<errc>(at->second.code());
        if (code != errc::wrong_owner && code != errc::deadline) return at->second;
      }
      std::this_thread::sleep_for(5ms);  // the maps are on their way
    }
    ADD_FAILURE() << "no answer";
    return {};
  }
  bool wait_for_last(uint64_t mid) {
    std::unique_lock held(mutex_);
    return wake_.wait_for(held, patience, [&] { return last_ >= mid; });
  }
  std::map<uint64_t, std::string> frames() {
    const std::lock_guard held(mutex_);
    return frames_;
  }
  std::vector<std::string> log() {
    const std::lock_guard held(mutex_);
    return log_;
  }

 private:
  class handler final : public rpc::client_handler<rpc::group_stream> {
   public:
    handler(session_end& owner, std::string node) : owner_(owner), node_(std::move(node)) {}
    void on_up(std::shared_ptr<rpc::sink<v1::GroupRequest>> out) override {
      const std::lock_guard held(owner_.mutex_);
      owner_.sinks_[node_] = std::move(out);
    }
    void on_items(std::vector<v1::GroupReply>& items) override {
      const std::lock_guard held(owner_.mutex_);
      for (const auto& one : items) owner_.take(node_, one);
      owner_.wake_.notify_all();
    }
    void on_down() override {
      const std::lock_guard held(owner_.mutex_);
      owner_.sinks_.erase(node_);
    }

   private:
    session_end& owner_;
    const std::string node_;
  };

  void take(const std::string& node, const v1::GroupReply& item) {
    if (item.has_answer()) {
      const v1::Answer& got = item.answer();
      answers_[got.call()] = got;
      if (got.call() == interest_call_ && got.code() == 0) {
        subscribed_ = true;
        EXPECT_GE(got.head(), last_) << "a head behind what went out";
        last_ = got.head();
      } else if (got.code() == 0 && got.has_appended() && subscribed_ && node == owner_) {
        EXPECT_LE(got.appended().mid(), last_) << "answered before its frame";
      }
      return;
    }
    if (!subscribed_ || node != owner_) return;
    if (item.has_gone()) {
      for (const uint64_t account : item.gone().accounts()) log_.push_back("gone " + std::to_string(account));
      return;
    }
    EXPECT_EQ(item.frame().mid(), last_ + 1) << "a hole, or a repeat";
    last_ = item.frame().mid();
    frames_[last_] = item.frame().body();
    log_.push_back(item.frame().target() != 0 ? "recall " + std::to_string(item.frame().target())
                                              : item.frame().body());
  }

  rpc::network& network_;
  placement::view& cluster_;
  const std::string name_;
  std::atomic<uint64_t> calls_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::shared_ptr<rpc::sink<v1::GroupRequest>>> sinks_;
  std::map<uint64_t, v1::Answer> answers_;
  std::map<uint64_t, std::string> frames_;
  std::vector<std::string> log_;
  std::string owner_;
  uint64_t interest_call_ = 0;
  uint64_t last_ = 0;
  bool subscribed_ = false;
  std::vector<std::unique_ptr<rpc::link>> links_;
};

v1::GroupRequest request() {
  v1::GroupRequest out;
  out.set_room(room.value);
  return out;
}
v1::GroupRequest append_of(account_id sender, const std::string& text) {
  auto out = request();
  out.mutable_append()->set_sender(sender.value);
  out.mutable_append()->set_key(text);
  out.mutable_append()->set_body(text);
  return out;
}
v1::GroupRequest change_of(storage::v1::RoomChange::Change what, account_id actor, account_id target = {}) {
  auto out = request();
  out.mutable_change()->set_change(what);
  out.mutable_change()->set_actor(actor.value);
  out.mutable_change()->set_target(target.value);
  return out;
}
v1::GroupRequest interest() {
  auto out = request();
  out.mutable_interest()->set_on(true);
  return out;
}

/// GetParam() is "sqlite" or "pg".
class group_with_storage : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    static int count = 0;
    std::string dsn = "sqlite:" + directory_.file("shard.db");
    if (GetParam() == "pg") {
      const auto name = "rooms_" + std::to_string(++count);
      const auto made = postgres().create_database(name);
      ASSERT_TRUE(made) << made.error().detail;
      dsn = postgres().dsn(name);
    }
    routing_config_.meta_dsn = "memory:";
    routing_config_.shards = {"main"};
    routing_config_.settle = 0ms;
    routing_config_.move_rest = 0ms;
    storage_config_.shards = {"main=" + dsn};
    storage_config_.encryption_key = std::string(64, 'e');
    launch("routing-0", [this](app::context& with) { return routing::make_routing_service(with, routing_config_); });
    launch("storage-0", [this](app::context& with) { return storage::make_storage_service(with, storage_config_); });
    launch_group("group-0");
    launch_group("group-1");
    member_ = std::make_unique<placement::membership>(
        *network_, system_clock(),
        placement::membership_options{{"gateway", "test", 1}, "local:test", {}, false, "local:routing-0"});
    member_->start();
    one_ = make_session("session-0");
    two_ = make_session("session-1");
    ASSERT_TRUE(wait_until([this] { return owners().size() == 2; }));
  }
  void TearDown() override {
    one_.reset();
    two_.reset();
    if (member_) member_->stop();
    for (const char* name : {"group-1", "group-0", "storage-0", "routing-0"}) stop(name);
    network_->stop();
    services_.clear();
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
  void launch_group(const std::string& name) {
    launch(name, [this](app::context& with) { return group::make_group_service(with, group_config_); });
  }
  void stop(const std::string& name) {
    const auto at = services_.find(name);
    if (at == services_.end() || !at->second->it) return;
    at->second->it->stop();
    at->second->it.reset();
  }
  std::unique_ptr<session_end> make_session(const std::string& name) {
    auto made = std::make_unique<session_end>(*network_, member_->cluster(), name);
    made->connect("group-0");
    made->connect("group-1");
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
  std::map<std::string, int> owners() {
    std::map<std::string, int> all;
    const auto map = member_->cluster().get();
    for (const placement::range& range : map->groups.ranges()) ++all[range.owner];
    return all;
  }
  std::string owner() {
    const auto map = member_->cluster().get();
    const placement::range* range = map->groups.find(slot_of(room));
    return range == nullptr ? "" : range->owner;
  }
  void make_room() {
    auto make = request();
    make.mutable_create()->set_founder(founder.value);
    make.mutable_create()->set_kind(storage::v1::ROOM_OPEN);
    make.mutable_create()->set_name("room");
    make.mutable_create()->set_key("made");
    ASSERT_EQ(one_->insist(make).code(), 0);
  }

  temp_dir directory_;
  actor::system_config actor_config_{2};
  caf::actor_system actors_{actor_config_};
  std::unique_ptr<rpc::network> network_ = rpc::make_local_network();
  routing::routing_config routing_config_;
  storage::storage_config storage_config_;
  group::group_config group_config_;
  uint64_t incarnations_ = 0;
  std::map<std::string, std::unique_ptr<running>> services_;
  std::unique_ptr<placement::membership> member_;
  std::unique_ptr<session_end> one_, two_;
};

TEST_P(group_with_storage, pipelined_messages_of_two_nodes_reach_both_in_one_order) {
  make_room();
  constexpr uint64_t members = 200;
  constexpr uint64_t each = 500;
  std::vector<uint64_t> calls;
  for (uint64_t i = 0; i < members; ++i) {
    calls.push_back(one_->new_call());
    ASSERT_TRUE(one_->send(change_of(storage::v1::RoomChange::APPLY, account_id{1000 + i}), calls.back()));
  }
  for (const uint64_t call : calls) EXPECT_EQ(one_->answer(call).code(), 0);
  one_->insist(interest());
  two_->insist(interest());
  std::vector<std::pair<session_end*, uint64_t>> asked;
  for (uint64_t i = 0; i < each; ++i) {
    for (session_end* from : {one_.get(), two_.get()}) {
      asked.emplace_back(from, from->new_call());
      const account_id sender{1000 + (i % members)};
      ASSERT_TRUE(
          from->send(append_of(sender, (from == one_.get() ? "a" : "b") + std::to_string(i)), asked.back().second));
    }
  }
  std::map<session_end*, uint64_t> newest;
  for (const auto& [from, call] : asked) {
    const auto got = from->answer(call);
    ASSERT_EQ(got.code(), 0);
    EXPECT_GT(got.appended().mid(), newest[from]) << "out of order";
    newest[from] = got.appended().mid();
  }
  ASSERT_TRUE(one_->wait_for_last(2 * each));
  ASSERT_TRUE(two_->wait_for_last(2 * each));
  EXPECT_EQ(one_->frames().size(), 2 * each);
  EXPECT_EQ(one_->log(), two_->log());
}

TEST_P(group_with_storage, recalls_and_farewells_keep_their_place) {
  make_room();
  const account_id guest{7};
  ASSERT_EQ(one_->insist(change_of(storage::v1::RoomChange::APPLY, guest)).code(), 0);
  two_->insist(interest());
  ASSERT_EQ(one_->insist(append_of(guest, "first")).appended().mid(), 1U);
  auto recall = request();
  recall.mutable_recall()->set_actor(guest.value);
  recall.mutable_recall()->set_mid(1);
  recall.mutable_recall()->set_body("recalled");
  EXPECT_EQ(one_->insist(recall).appended().mid(), 2U);
  EXPECT_TRUE(one_->insist(recall).appended().duplicate());
  ASSERT_EQ(one_->insist(change_of(storage::v1::RoomChange::KICK, founder, guest)).code(), 0);
  EXPECT_EQ(static_cast<errc>(one_->insist(append_of(guest, "too late")).code()), errc::permission_denied);
  ASSERT_EQ(one_->insist(append_of(founder, "last")).appended().mid(), 3U);
  ASSERT_TRUE(two_->wait_for_last(3));
  EXPECT_EQ(two_->log(), (std::vector<std::string>{"first", "recall 1", "gone 7", "last"}));
}

/// The room is written to all the time while its owners go and come.
TEST_P(group_with_storage, a_room_that_moves_loses_nothing_and_repeats_nothing) {
  make_room();
  std::atomic<bool> done{false};
  std::atomic<uint64_t> written{0};
  std::map<uint64_t, std::string> stored;
  std::thread writer([&] {
    for (uint64_t i = 1; !done; ++i) {
      const std::string text = "m" + std::to_string(i);
      const auto got = two_->insist(append_of(founder, text));
      EXPECT_EQ(got.code(), 0);
      EXPECT_TRUE(stored.emplace(got.appended().mid(), text).second) << "two messages with one mid";
      ++written;
    }
  });
  const auto write_some = [&](uint64_t more) {
    const uint64_t until = written + more;
    return wait_until([&] { return written >= until; });
  };
  EXPECT_EQ(one_->insist(interest()).code(), 0);
  for (int round = 0; round < 4; ++round) {
    EXPECT_TRUE(write_some(50));
    const std::string old = owner();
    if (round % 2 == 0) {
      services_[old]->it->drain(20s);
      EXPECT_FALSE(services_[old]->ready());
    }
    stop(old);
    EXPECT_TRUE(wait_until([&] { return owner() != old && !owner().empty(); }));
    EXPECT_EQ(one_->insist(interest()).code(), 0);
    EXPECT_TRUE(write_some(50));
    launch_group(old);
    EXPECT_TRUE(wait_until([&] { return owners().size() == 2; }));
    EXPECT_EQ(one_->insist(interest()).code(), 0);
  }
  EXPECT_TRUE(write_some(50));
  done = true;
  writer.join();
  ASSERT_FALSE(stored.empty());
  EXPECT_EQ(stored.size(), stored.rbegin()->first) << "mids without a hole";
  ASSERT_TRUE(one_->wait_for_last(stored.rbegin()->first));
  const auto frames = one_->frames();
  EXPECT_GT(frames.size(), 100U);
  for (const auto& [mid, body] : frames) EXPECT_EQ(body, stored[mid]) << mid;
}

/// Between living nodes nothing has to be found out anew: the next owner goes on from what the last one knew.
TEST_P(group_with_storage, a_drained_node_hands_its_rooms_over) {
  make_room();
  EXPECT_EQ(one_->insist(interest()).code(), 0);
  std::atomic<bool> done{false};
  std::atomic<uint64_t> written{0};
  std::chrono::steady_clock::duration longest{};
  std::thread writer([&] {
    for (uint64_t i = 1; !done; ++i) {
      const auto begun = std::chrono::steady_clock::now();
      EXPECT_EQ(two_->insist(append_of(founder, "m" + std::to_string(i))).appended().mid(), i);
      longest = std::max(longest, std::chrono::steady_clock::now() - begun);
      ++written;
    }
  });
  const std::string old = owner();
  const auto metric = [&](const std::string& node, const std::string& line) {
    const std::string page = services_[node]->registry.render();
    const size_t at = page.find("\n" + line + " ");
    return at == std::string::npos ? -1.0 : std::stod(page.substr(at + line.size() + 2));
  };
  const auto moved = [](const std::string& result) {
    return "tern_group_rooms_moved_total{result=\"" + result + "\"}";
  };
  // Its range is new here too: for four seconds it looks for what the owner before may have left, and hands nothing
  // over.
  const auto settled = std::chrono::steady_clock::now() + 4500ms;
  EXPECT_TRUE(wait_until([&] { return written >= 50 && std::chrono::steady_clock::now() > settled; }));
  std::thread follower([&] {  // a session node asks the new owner as soon as it sees the map
    EXPECT_TRUE(wait_until([&] { return owner() != old; }));
    EXPECT_EQ(one_->insist(interest()).code(), 0);
  });
  services_[old]->it->drain(20s);
  follower.join();
  EXPECT_FALSE(services_[old]->ready());
  const uint64_t until = written + 50;
  EXPECT_TRUE(wait_until([&] { return written >= until; }));
  done = true;
  writer.join();
  ASSERT_TRUE(one_->wait_for_last(written));
  EXPECT_EQ(metric(old, moved("sent")), 1);
  EXPECT_EQ(metric(owner(), moved("used")), 1);
  std::cout << "longest answer " << std::chrono::duration_cast<std::chrono::milliseconds>(longest).count() << " ms\n";
  EXPECT_LT(longest, 1s);
}

INSTANTIATE_TEST_SUITE_P(databases, group_with_storage, ::testing::Values("sqlite", "pg"),
                         [](const auto& about) { return about.param; });

}  // namespace
}  // namespace tern::testing

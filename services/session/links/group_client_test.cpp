#include "services/session/links/group_client.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "libs/rpc/local_network.hpp"
#include "libs/testing/fake_clock.hpp"

namespace tern::session {
namespace {

class group_node final : public rpc::server_handler<rpc::group_stream> {
 public:
  /// A stream that is attached again is served by the network's own thread.
  struct shared {
    std::atomic<uint64_t> epoch = 1;
    std::atomic<bool> silent = false;
    std::mutex mutex;                           // guards what follows
    std::vector<group::v1::GroupRequest> kept;  // while silent
    std::vector<uint64_t> rooms;
    std::shared_ptr<rpc::sink<group::v1::GroupReply>> out;

    std::vector<group::v1::GroupRequest> all_kept() {
      const std::lock_guard held(mutex);
      return kept;
    }
    std::vector<uint64_t> all_rooms() {
      const std::lock_guard held(mutex);
      return rooms;
    }
    /// The newest stream, kept alive by the caller.
    std::shared_ptr<rpc::sink<group::v1::GroupReply>> stream() {
      const std::lock_guard held(mutex);
      return out;
    }
  };
  explicit group_node(shared& state) : state_(state) {}
  void on_items(std::vector<group::v1::GroupRequest>& items) override {
    for (const auto& one : items) {
      if (state_.silent) {
        const std::lock_guard held(state_.mutex);
        state_.kept.push_back(one);
        continue;
      }
      group::v1::GroupReply reply;
      reply.mutable_answer()->set_call(one.call());
      if (one.epoch() != state_.epoch) {
        reply.mutable_answer()->set_code(static_cast<int32_t>(errc::wrong_owner));
      } else {
        const std::lock_guard held(state_.mutex);
        state_.rooms.push_back(one.room());
      }
      state_.stream()->send(std::move(reply));
    }
  }
  void on_down() override {}

 private:
  shared& state_;
};

class group_client_test : public ::testing::Test {
 protected:
  group_client_test() {
    network->serve<rpc::group_stream>("local:group-0", [this](const rpc::peer&, auto out) {
      const std::lock_guard held(node.mutex);
      node.out = out;
      return std::make_shared<group_node>(node);
    });
    publish(1);
  }
  ~group_client_test() override {
    client.stop();
    network->stop();
  }
  void publish(uint64_t epoch) {
    auto map = std::make_shared<placement::snapshot>();
    map->version = ++version;
    map->nodes = {{"group-0", "group", "local:group-0", 1, true}};
    map->groups = placement::range_map{{{0, slot_count - 1, "group-0", epoch}}};
    client.apply(map);
  }
  void ask(uint64_t room) {
    group::v1::GroupRequest request;
    request.set_room(room);
    client.ask(std::move(request), [this](group_answer& got) { note(got.code); });
  }
  void note(errc code) {
    const std::lock_guard held(node.mutex);
    answered.push_back(code);
  }
  std::vector<errc> answers() {
    const std::lock_guard held(node.mutex);
    return answered;
  }

  void reply(const group::v1::GroupRequest& to, errc code) {
    group::v1::GroupReply reply;
    reply.mutable_answer()->set_call(to.call());
    reply.mutable_answer()->set_code(static_cast<int32_t>(code));
    node.stream()->send(std::move(reply));
  }
  /// Rooms of what the silent node has got since the last call.
  std::vector<uint64_t> kept() {
    std::vector<uint64_t> rooms;
    const std::lock_guard held(node.mutex);
    for (const auto& one : std::exchange(node.kept, {})) rooms.push_back(one.room());
    return rooms;
  }

  class listener final : public group_listener {
   public:
    void on_frame(uint64_t source, group::v1::RoomFrame& frame) override {
      said.push_back("frame " + std::to_string(frame.mid()) + " of " + std::to_string(source));
    }
    void on_gone(uint64_t source, const group::v1::RoomGone& gone) override {
      said.push_back("gone " + std::to_string(gone.accounts(0)) + " of " + std::to_string(source));
    }
    void on_source_down(uint64_t source) override { said.push_back("down " + std::to_string(source)); }
    std::vector<std::string> said;
  };

  testing::fake_clock time;
  group_node::shared node;
  std::unique_ptr<rpc::network> network = rpc::make_local_network();
  group_client client{*network, {"session", "session-0", 1}, time, std::chrono::seconds(2)};
  uint64_t version = 0;
  std::vector<errc> answered;
};

TEST_F(group_client_test, requests_go_to_the_rooms_owner_in_order) {
  ask(5);
  ask(6);
  EXPECT_EQ(node.all_rooms(), (std::vector<uint64_t>{5, 6}));
  EXPECT_EQ(answers(), (std::vector<errc>{errc::ok, errc::ok}));
}

TEST_F(group_client_test, wrong_owner_is_asked_again_with_a_newer_map) {
  node.epoch = 2;
  ask(5);
  EXPECT_TRUE(answers().empty());
  publish(2);
  EXPECT_EQ(answers(), std::vector<errc>{errc::ok});
}

TEST_F(group_client_test, silence_ends_at_the_deadline) {
  node.silent = true;
  ask(5);
  time.advance(std::chrono::seconds(3));
  client.sweep();
  EXPECT_EQ(answers(), std::vector<errc>{errc::deadline});
}

TEST_F(group_client_test, without_an_owner_the_answer_is_unavailable) {
  group_client lonely{*network, {"session", "session-9", 1}, time, std::chrono::seconds(2)};
  errc code = errc::ok;
  lonely.ask({}, [&](group_answer& got) { code = got.code; });
  EXPECT_EQ(code, errc::unavailable);
}

TEST_F(group_client_test, stopping_ends_what_waits) {
  node.silent = true;
  ask(5);
  client.stop();
  EXPECT_EQ(answers(), std::vector<errc>{errc::cancelled});
}

TEST_F(group_client_test, an_owner_that_has_not_answered_yet_gets_one_request_of_a_room_at_a_time) {
  node.silent = true;
  ask(5);
  ask(5);
  ask(6);
  const auto first = node.all_kept();
  EXPECT_EQ(kept(), (std::vector<uint64_t>{5, 6}));
  reply(first[0], errc::ok);
  EXPECT_EQ(kept(), std::vector<uint64_t>{5});
  ask(5);
  ask(5);
  EXPECT_EQ(kept().size(), 2U) << "it has answered for its epoch";
}

TEST_F(group_client_test, a_proven_owner_gets_requests_without_waiting) {
  ask(5);
  node.silent = true;
  ask(5);
  ask(5);
  ask(5);
  EXPECT_EQ(kept().size(), 3U);
}

TEST_F(group_client_test, after_wrong_owner_no_request_of_the_room_overtakes_another) {
  ask(5);
  node.silent = true;
  ask(5);
  ask(5);
  const auto sent = node.all_kept();
  kept();
  reply(sent[0], errc::wrong_owner);
  ask(5);
  EXPECT_TRUE(kept().empty());
  reply(sent[1], errc::wrong_owner);
  publish(2);
  auto again = node.all_kept();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].call(), sent[0].call());
  kept();
  reply(again[0], errc::ok);
  again = node.all_kept();
  ASSERT_EQ(again.size(), 2U);
  EXPECT_EQ(again[0].call(), sent[1].call());
}

TEST_F(group_client_test, after_a_broken_link_requests_come_again_in_order) {
  ask(5);
  node.silent = true;
  ask(5);
  ask(5);
  const auto sent = node.all_kept();
  kept();
  node.stream()->close();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (node.all_kept().empty() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  ASSERT_EQ(node.all_kept().size(), 1U);
  EXPECT_EQ(node.all_kept()[0].call(), sent[0].call());
}

TEST_F(group_client_test, a_change_refused_after_a_broken_link_has_an_unknown_outcome) {
  node.silent = true;
  group::v1::GroupRequest change;
  change.set_room(5);
  change.mutable_change()->set_change(storage::v1::RoomChange::LEAVE);
  client.ask(std::move(change), [this](group_answer& got) { note(got.code); });
  kept();
  node.stream()->close();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (node.all_kept().empty() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  ASSERT_EQ(node.all_kept().size(), 1U);
  reply(node.all_kept()[0], errc::permission_denied);
  while (answers().empty() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_EQ(answers(), std::vector<errc>{errc::deadline});
}

TEST_F(group_client_test, frames_carry_the_number_of_the_stream_and_come_in_order_with_answers) {
  listener heard;
  group_client other{*network, {"session", "session-1", 1}, time, std::chrono::seconds(2)};
  other.listen(heard);
  auto map = std::make_shared<placement::snapshot>();
  map->version = 1;
  map->nodes = {{"group-0", "group", "local:group-0", 1, true}};
  map->groups = placement::range_map{{{0, slot_count - 1, "group-0", 1}}};
  other.apply(map);
  uint64_t source = 0;
  group::v1::GroupRequest request;
  request.set_room(5);
  other.ask(std::move(request), [&](group_answer& got) {
    source = got.source;
    EXPECT_EQ(got.epoch, 1U);
  });
  ASSERT_NE(source, 0U);
  group::v1::GroupReply frame;
  frame.mutable_frame()->set_mid(9);
  node.stream()->send(std::move(frame));
  group::v1::GroupReply gone;
  gone.mutable_gone()->add_accounts(3);
  node.stream()->send(std::move(gone));
  other.stop();
  const std::string of = " of " + std::to_string(source);
  EXPECT_EQ(heard.said, (std::vector<std::string>{"frame 9" + of, "gone 3" + of, "down " + std::to_string(source)}));
}

}  // namespace
}  // namespace tern::session

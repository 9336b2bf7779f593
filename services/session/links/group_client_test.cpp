#include "services/session/links/group_client.hpp"

#include <gtest/gtest.h>

#include "libs/rpc/local_network.hpp"
#include "libs/testing/fake_clock.hpp"

namespace tern::session {
namespace {

class group_node final : public rpc::server_handler<rpc::group_stream> {
 public:
  struct shared {
    uint64_t epoch = 1;
    bool silent = false;
    std::vector<uint64_t> rooms;
    std::shared_ptr<rpc::sink<group::v1::GroupReply>> out;
  };
  explicit group_node(shared& state) : state_(state) {}
  void on_items(std::vector<group::v1::GroupRequest>& items) override {
    for (const auto& one : items) {
      if (state_.silent) continue;
      group::v1::GroupReply reply;
      reply.mutable_answer()->set_call(one.call());
      if (one.epoch() != state_.epoch) {
        reply.mutable_answer()->set_code(static_cast<int32_t>(errc::wrong_owner));
      } else {
        state_.rooms.push_back(one.room());
      }
      state_.out->send(std::move(reply));
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
    client.ask(std::move(request), [this](group_answer& got) { answered.push_back(got.code); });
  }

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
  EXPECT_EQ(node.rooms, (std::vector<uint64_t>{5, 6}));
  EXPECT_EQ(answered, (std::vector<errc>{errc::ok, errc::ok}));
}

TEST_F(group_client_test, wrong_owner_is_asked_again_with_a_newer_map) {
  node.epoch = 2;
  ask(5);
  EXPECT_TRUE(answered.empty());
  publish(2);
  EXPECT_EQ(answered, std::vector<errc>{errc::ok});
}

TEST_F(group_client_test, silence_ends_at_the_deadline) {
  node.silent = true;
  ask(5);
  time.advance(std::chrono::seconds(3));
  client.sweep();
  EXPECT_EQ(answered, std::vector<errc>{errc::deadline});
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
  EXPECT_EQ(answered, std::vector<errc>{errc::cancelled});
}

}  // namespace
}  // namespace tern::session

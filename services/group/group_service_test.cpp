#include "services/group/grpc/group_service.hpp"

namespace tern::group {
namespace {

constexpr uint64_t mine = 1;
constexpr uint64_t foreign = ~uint64_t{0};

class collected final : public rpc::sink<v1::GroupReply> {
 public:
  bool send(v1::GroupReply item) override {
    items.push_back(std::move(item));
    return true;
  }
  bool send_all(std::vector<v1::GroupReply>& all) override {
    for (auto& one : all) items.push_back(std::move(one));
    all.clear();
    return true;
  }
  void close() override {}
  std::vector<v1::GroupReply> items;
};

class group_service_test : public ::testing::Test {
 protected:
  group_service_test() {
    auto map = std::make_shared<placement::snapshot>();
    map->version = 1;
    map->groups = placement::range_map{{{0, 999, "group-0", 7}, {1000, slot_count - 1, "group-1", 8}}};
    cluster.publish(map);
    around.cluster = &cluster;
    around.lease_valid = [this] { return lease; };
    handler = exchange_acceptor(around)({"session", "session-0", 1}, out);
  }

  void ask(uint64_t call, uint64_t room, uint64_t epoch) {
    std::vector<v1::GroupRequest> batch(1);
    batch[0].set_call(call);
    batch[0].set_room(room);
    batch[0].set_epoch(epoch);
    handler->on_items(batch);
  }
  errc last_code() const { return static_cast<errc>(out->items.back().answer().code()); }

  metrics::registry registry;
  group_config config;
  group_metrics metrics{registry};
  placement::view cluster;
  bool lease = true;
  surroundings around{config, metrics, "group-0"};
  std::shared_ptr<collected> out = std::make_shared<collected>();
  std::shared_ptr<rpc::server_handler<rpc::group_stream>> handler;
};

TEST_F(group_service_test, commands_of_own_rooms_are_answered_as_not_offered) {
  ask(5, mine, 7);
  EXPECT_EQ(out->items.back().answer().call(), 5U);
  EXPECT_EQ(last_code(), errc::bad_interface);
}

TEST_F(group_service_test, foreign_rooms_and_other_epochs_are_refused) {
  ask(1, foreign, 8);
  EXPECT_EQ(last_code(), errc::wrong_owner);
  ask(2, mine, 6);
  EXPECT_EQ(last_code(), errc::wrong_owner);
}

TEST_F(group_service_test, without_a_lease_nothing_is_ours) {
  lease = false;
  ask(1, mine, 7);
  EXPECT_EQ(last_code(), errc::wrong_owner);
}

TEST_F(group_service_test, every_request_of_a_batch_is_answered_in_order) {
  config.max_batch_requests = 2;
  std::vector<v1::GroupRequest> batch(3);
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i].set_call(i + 1);
    batch[i].set_room(mine);
    batch[i].set_epoch(7);
  }
  handler->on_items(batch);
  ASSERT_EQ(out->items.size(), 3U);
  EXPECT_EQ(out->items[0].answer().call(), 1U);
  EXPECT_EQ(last_code(), errc::overload);
}

}  // namespace
}  // namespace tern::group

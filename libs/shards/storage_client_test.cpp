#include "libs/shards/storage_client.hpp"

#include <gtest/gtest.h>

#include "libs/rpc/local_network.hpp"
#include "libs/testing/fake_clock.hpp"

namespace tern::shards {
namespace {

/// A storage node that remembers what it got and answers at once (or not).
class storage_node final : public rpc::server_handler<rpc::storage_stream> {
 public:
  struct shared {
    uint64_t epoch = 1;
    bool silent = false;
    errc refusal = errc::ok;
    std::vector<uint64_t> executed;  // marks
    std::shared_ptr<rpc::sink<storage::v1::StorageReply>> out;
  };
  explicit storage_node(shared& state) : state_(state) {}
  void on_items(std::vector<storage::v1::StorageRequest>& items) override {
    for (const auto& one : items) {
      storage::v1::StorageReply reply;
      reply.set_call(one.call());
      reply.set_shard(one.shard());
      reply.set_epoch(one.epoch());
      if (one.epoch() != state_.epoch) {
        reply.set_code(static_cast<int32_t>(errc::wrong_owner));
      } else {
        state_.executed.push_back(one.trace());
        reply.set_code(static_cast<int32_t>(state_.refusal));
      }
      if (!state_.silent) state_.out->send(std::move(reply));
    }
  }
  void on_down() override {}

 private:
  shared& state_;
};

class storage_client_test : public ::testing::Test {
 protected:
  storage_client_test() {
    serve("local:storage-0", first);
    serve("local:storage-1", second);
    publish("storage-0", 1);
  }
  ~storage_client_test() override {
    client.stop();
    network->stop();
  }
  void serve(const std::string& address, storage_node::shared& state) {
    network->serve<rpc::storage_stream>(address, [&state](const rpc::peer&, auto out) {
      state.out = out;
      return std::make_shared<storage_node>(state);
    });
  }
  /// Slots before `border` are of shard s0 (all, if it is 0), the others of s1, which storage-0 serves in epoch 1.
  void publish(const std::string& owner, uint64_t epoch, slot_type border = 0) {
    auto map = std::make_shared<placement::snapshot>();
    map->version = ++version;
    map->nodes = {{"storage-0", "storage", "local:storage-0", 1, true},
                  {"storage-1", "storage", "local:storage-1", 1, true}};
    map->storage = placement::range_map{{{0, slot_count - 1, "s0", 1}}};
    map->shards = {{"s0", owner, epoch}};
    if (border != 0) {
      map->storage = placement::range_map{{{0, border - 1, "s0", 1}, {border, slot_count - 1, "s1", 1}}};
      map->shards.push_back({"s1", "storage-0", 1});
    }
    client.apply(map);
  }
  void ask(uint64_t mark, slot_type slot = 7) {
    storage::v1::StorageRequest request;
    request.set_trace(mark);
    client.ask(slot, std::move(request), patience::deadline,
               [this, mark](storage_answer& got) { answered.emplace_back(mark, got.code); });
  }

  using answers = std::vector<std::pair<uint64_t, errc>>;
  testing::fake_clock time;
  storage_node::shared first, second;
  std::unique_ptr<rpc::network> network = rpc::make_local_network();
  storage_client client{*network, {"session", "session-0", 1}, time, {}};
  uint64_t version = 0;
  answers answered;
};

TEST_F(storage_client_test, a_request_goes_to_the_node_that_serves_the_slots_shard) {
  ask(1);
  ask(2);
  EXPECT_EQ(first.executed, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(answered, (answers{{1, errc::ok}, {2, errc::ok}}));
}

TEST_F(storage_client_test, what_is_unanswered_moves_to_the_new_owner_in_order) {
  ask(1);
  first.silent = true;
  ask(2);
  ask(3);
  second.epoch = 2;
  publish("storage-1", 2);
  EXPECT_EQ(second.executed, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(answered, (answers{{1, errc::ok}, {2, errc::ok}, {3, errc::ok}}));
}

TEST_F(storage_client_test, what_is_unanswered_of_slots_that_moved_goes_to_their_shard_in_order_and_nothing_else) {
  publish("storage-0", 1, 10);
  first.silent = true;
  second.epoch = 2;
  for (uint64_t mark = 1; mark <= 6; ++mark) ask(mark, mark % 2 == 0 ? 7 : 10'000);
  publish("storage-0", 1, 20'000);  // slot 10,000 has gone from s1 to s0
  EXPECT_TRUE(answered.empty());
  first.silent = false;
  publish("storage-1", 2, 20'000);
  EXPECT_EQ(second.executed, (std::vector<uint64_t>{2, 4, 6, 1, 3, 5}));
  EXPECT_EQ(answered.size(), 6U);
  ask(7, 10'000);
  EXPECT_EQ(second.executed.back(), 7U);
}

TEST_F(storage_client_test, the_former_shards_late_answer_is_not_an_answer_and_a_refusal_there_leaves_it_unknown) {
  publish("storage-0", 1, 10);
  first.silent = true;
  storage::v1::StorageRequest change;
  change.set_trace(1);
  change.mutable_room_change();
  errc code = errc::ok;
  client.ask(slot_type{10'000}, std::move(change), patience::deadline, [&](storage_answer& got) { code = got.code; });
  ASSERT_EQ(first.executed.size(), 1U);
  first.silent = false;
  first.refusal = errc::exists;  // it was done, before the range moved
  publish("storage-0", 1, 20'000);
  EXPECT_EQ(first.executed.size(), 2U);
  EXPECT_EQ(code, errc::deadline);
}

TEST_F(storage_client_test, an_owner_that_does_not_know_its_epoch_yet_is_asked_again) {
  first.epoch = 0;
  ask(1);
  ask(2);
  EXPECT_TRUE(first.executed.empty());
  first.epoch = 1;
  time.advance(std::chrono::milliseconds(100));
  client.sweep();
  EXPECT_EQ(first.executed, (std::vector<uint64_t>{1, 2}));
}

TEST_F(storage_client_test, without_a_map_nothing_can_be_asked) {
  storage_client lonely{*network, {"session", "session-9", 1}, time, {}};
  errc code = errc::ok;
  lonely.ask(slot_type{7}, {}, patience::until_answered, [&](storage_answer& got) { code = got.code; });
  EXPECT_EQ(code, errc::unavailable);
}

TEST_F(storage_client_test, stopping_ends_what_waits) {
  first.silent = true;
  ask(1);
  client.stop();
  EXPECT_EQ(answered, (answers{{1, errc::cancelled}}));
  ask(2);
  EXPECT_EQ(answered.back(), (std::pair<uint64_t, errc>{2, errc::unavailable}));
}

}  // namespace
}  // namespace tern::shards

// The small parts of the service: shard list, pools, and the port's decisions.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include "libs/testing/fake_clock.hpp"
#include "services/storage/bounded_pool.hpp"
#include "services/storage/config.hpp"
#include "services/storage/reader_pool.hpp"
#include "services/storage/shard_port.hpp"
#include "services/storage/testing/requests.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using testing::ann;
using testing::append;
using testing::ben;

TEST(shard_list, is_taken_apart_or_refused_as_a_whole) {
  std::string problem;
  const auto good = parse_shards({"s0=sqlite:/tmp/a=b.db", "s-1=host=h dbname=d"}, problem);
  ASSERT_EQ(good.size(), 2U);
  EXPECT_EQ(good[0].dsn, "sqlite:/tmp/a=b.db");
  EXPECT_EQ(good[1].name, "s-1");
  EXPECT_TRUE(problem.empty());
  for (const std::vector<std::string>& bad :
       std::vector<std::vector<std::string>>{{}, {"s0"}, {"s0="}, {"=memory:"}, {"S0=memory:"}, {"a=x", "a=y"}}) {
    problem.clear();
    EXPECT_TRUE(parse_shards(bad, problem).empty());
    EXPECT_FALSE(problem.empty());
  }
}

TEST(bounded_pool, refuses_what_its_queue_has_no_room_for) {
  bounded_pool pool(1, 2);
  std::promise<void> started, go;
  const auto gate = go.get_future().share();
  ASSERT_TRUE(pool.submit([&started, gate] {
    started.set_value();
    gate.wait();
  }));
  started.get_future().wait();
  EXPECT_TRUE(pool.submit([] {}));
  EXPECT_TRUE(pool.submit([] {}));
  EXPECT_FALSE(pool.submit([] {}));
  EXPECT_EQ(pool.waiting(), 2U);
  go.set_value();
  pool.stop();
  EXPECT_FALSE(pool.submit([] {}));
}

/// Until it is so, for at most five seconds.
bool becomes(const std::function<bool()>& so) {
  for (int i = 0; i < 500 && !so(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return so();
}

TEST(reader_pool, makes_all_its_connections_when_told_and_only_once) {
  auto store = std::move(*open_store("memory:"));
  ASSERT_TRUE(store->migrate());
  std::atomic<int> opened{0};
  reader_pool pool({.threads = 3, .queue_most = 8}, system_clock(), [&] {
    ++opened;
    return store->open_reader();
  });
  EXPECT_EQ(pool.connections().idle, 0U);
  pool.warm();
  EXPECT_TRUE(becomes([&] { return pool.connections().idle == 3; }));
  pool.warm();
  std::promise<void> read;
  const auto now = system_clock().now();
  auto run = [&](reader_store&) {
    read.set_value();
    return errc::ok;
  };
  ASSERT_TRUE(pool.submit({now, now + std::chrono::seconds(5), run, [](errc) {}}));
  read.get_future().wait();
  EXPECT_EQ(opened, 3);
}

TEST(reader_pool, reads_after_it_could_not_connect_ahead) {
  auto store = std::move(*open_store("memory:"));
  ASSERT_TRUE(store->migrate());
  std::atomic<int> asked{0};
  reader_pool pool({.threads = 1, .queue_most = 8}, system_clock(), [&]() -> result<std::unique_ptr<reader_store>> {
    if (++asked == 1) return errc::unavailable;
    return store->open_reader();
  });
  pool.warm();
  ASSERT_TRUE(becomes([&] { return asked == 1; }));
  std::promise<void> read;
  const auto now = system_clock().now();
  auto run = [&](reader_store&) {
    read.set_value();
    return errc::ok;
  };
  ASSERT_TRUE(pool.submit({now, now + std::chrono::seconds(5), run, [](errc) {}}));
  read.get_future().wait();
  EXPECT_EQ(asked, 2);
}

TEST(reader_pool, tries_again_on_a_new_connection_and_gives_up_at_the_deadline) {
  tern::testing::fake_clock time;
  auto store = std::move(*open_store("memory:"));
  ASSERT_TRUE(store->migrate());
  std::atomic<int> opened{0};
  reader_pool pool({.threads = 1, .queue_most = 8}, time, [&] {
    ++opened;
    return store->open_reader();
  });
  std::promise<int> done;
  int runs = 0;
  ASSERT_TRUE(pool.submit({time.now(), time.now() + 1s,
                           [&](reader_store&) {
                             if (++runs < 3) return errc::unavailable;
                             done.set_value(runs);
                             return errc::ok;
                           },
                           [](errc) { ADD_FAILURE() << "given up"; }}));
  EXPECT_EQ(done.get_future().get(), 3);
  EXPECT_EQ(opened, 3);
  std::promise<errc> late;
  ASSERT_TRUE(pool.submit(
      {time.now(), time.now(), [](reader_store&) { return errc::ok; }, [&](errc code) { late.set_value(code); }}));
  EXPECT_EQ(late.get_future().get(), errc::unavailable);
}

TEST(storage_config, a_cluster_has_shards_of_one_kind) {
  storage_config options;
  options.encryption_key = std::string(64, 'e');
  options.shards = {"a=sqlite:/tmp/a.db", "b=host=h dbname=d"};
  EXPECT_TRUE(complaints(options).empty()) << "ternd moves from one to the other";
  const auto mixed = cluster_complaints(options);
  ASSERT_EQ(mixed.size(), 1U);
  EXPECT_NE(mixed[0].find("not a of the one kind and b of the other"), std::string::npos) << mixed[0];
  options.shards = {"a=sqlite:/tmp/a.db", "c=sqlite:/tmp/c.db"};
  EXPECT_TRUE(cluster_complaints(options).empty());
  options.shards = {"a=host=g dbname=d", "b=host=h dbname=d"};
  EXPECT_TRUE(cluster_complaints(options).empty());
}

class shard_port_test : public ::testing::Test {
 protected:
  void ask(uint64_t call, uint64_t epoch, const std::shared_ptr<reply_sink>& from = nullptr) {
    std::vector<v1::StorageRequest> items{append(call, ann, ben, "k")};
    items[0].set_epoch(epoch);
    port_.admit(std::move(items), from, refused_);
  }
  void open(uint64_t epoch) {
    port_.open(
        epoch,
        [this](std::vector<write_request>&& items) {
          for (auto& item : items) written_.push_back(item.message.call());
        },
        refused_);
  }
  errc refused(size_t index) { return static_cast<errc>(refused_.at(index).reply.code()); }

  tern::testing::fake_clock time_;
  shard_port port_{"s0",
                   {.writes_most = 3, .parked_most = 4},
                   time_,
                   [](v1::StorageRequest&&, const std::shared_ptr<reply_sink>&, clock::time_point) {}};
  std::vector<answer> refused_;
  std::vector<uint64_t> written_;
};

TEST_F(shard_port_test, what_waits_for_an_epoch_goes_first_when_it_begins) {
  ask(1, 7);
  ask(2, 7);
  EXPECT_TRUE(refused_.empty() && written_.empty());
  open(7);
  ask(3, 7);
  EXPECT_EQ(written_, (std::vector<uint64_t>{1, 2, 3}));
  ask(4, 7);
  EXPECT_EQ(refused(0), errc::overload);
  port_.answered(7, 2);
  ask(5, 7);
  EXPECT_EQ(written_.back(), 5U);
}

TEST_F(shard_port_test, an_epoch_that_ended_never_begins_again) {
  open(7);
  port_.close(7, refused_);
  ask(1, 7);
  ask(2, 6);
  EXPECT_EQ(refused(0), errc::wrong_owner);
  EXPECT_EQ(refused(1), errc::wrong_owner);
  open(7);
  EXPECT_FALSE(port_.serves(7));
  ask(3, 8);
  port_.close(8, refused_);
  EXPECT_EQ(refused(2), errc::wrong_owner);
}

TEST_F(shard_port_test, what_waits_too_long_is_answered_and_the_bound_holds) {
  open(7);
  port_.suspend(true, refused_);
  EXPECT_FALSE(port_.serves(7));
  for (uint64_t call = 1; call <= 5; ++call) ask(call, 7);
  ASSERT_EQ(refused_.size(), 1U);
  EXPECT_EQ(refused(0), errc::overload);
  time_.advance(1501ms);
  port_.expire(refused_);
  ASSERT_EQ(refused_.size(), 5U);
  EXPECT_EQ(refused(4), errc::unavailable);
  ask(6, 7);
  port_.suspend(false, refused_);
  EXPECT_EQ(written_, (std::vector<uint64_t>{6}));
}

TEST_F(shard_port_test, nothing_of_a_stream_overtakes_what_waited_too_long) {
  const auto one = std::make_shared<testing::recording_sink>(), other = std::make_shared<testing::recording_sink>();
  open(7);
  port_.suspend(true, refused_);
  ask(1, 7, one);
  time_.advance(1000ms);
  ask(2, 7, other);
  ask(3, 7, one);
  time_.advance(501ms);
  port_.expire(refused_);
  ASSERT_EQ(refused_.size(), 2U);
  EXPECT_EQ(refused_[0].reply.call(), 1U);
  EXPECT_EQ(refused_[1].reply.call(), 3U);
  port_.suspend(false, refused_);
  EXPECT_EQ(written_, (std::vector<uint64_t>{2}));
}

TEST_F(shard_port_test, what_waits_of_a_stream_goes_with_it) {
  const auto one = std::make_shared<testing::recording_sink>(), other = std::make_shared<testing::recording_sink>();
  open(7);
  port_.suspend(true, refused_);
  ask(1, 7, one);
  ask(2, 7, other);
  port_.forget(one);
  port_.suspend(false, refused_);
  EXPECT_EQ(written_, (std::vector<uint64_t>{2}));
  EXPECT_TRUE(refused_.empty());
}

TEST_F(shard_port_test, requests_of_a_closed_door_wait_in_order_and_the_others_go_on) {
  const auto slot = [](account_id one, account_id other) { return slot_of(testing::talk_of(one, other)); };
  const auto closed = slot(ann, ben);
  ASSERT_NE(closed, slot(ann, testing::cat));
  const auto admit = [this](v1::StorageRequest one) {
    one.set_epoch(7);
    std::vector<v1::StorageRequest> items{std::move(one)};
    port_.admit(std::move(items), nullptr, refused_);
  };
  open(7);
  ASSERT_TRUE(port_.set_door(7, {closed, closed, slot_door::wait}, refused_));
  EXPECT_FALSE(port_.set_door(6, {closed, closed, slot_door::open}, refused_));
  admit(append(1, ann, ben, "a"));
  admit(append(2, ann, testing::cat, "b"));
  admit(append(3, ann, ben, "c"));
  EXPECT_EQ(written_, (std::vector<uint64_t>{2}));
  EXPECT_TRUE(port_.set_door(7, {closed, closed, slot_door::open}, refused_));
  EXPECT_EQ(written_, (std::vector<uint64_t>{2, 1, 3}));
}

TEST_F(shard_port_test, where_slots_have_gone_requests_wait_for_the_map_a_moment_and_are_refused_then) {
  open(7);
  ASSERT_TRUE(port_.set_door(7, {0, slot_count - 1, slot_door::wait}, refused_));
  ask(1, 7);
  EXPECT_TRUE(port_.set_door(7, {0, slot_count - 1, slot_door::gone}, refused_));
  port_.expire(refused_);
  EXPECT_TRUE(refused_.empty());
  port_.expire(refused_);
  ASSERT_EQ(refused_.size(), 1U);
  EXPECT_EQ(refused(0), errc::wrong_owner);
  EXPECT_TRUE(written_.empty());
}

TEST_F(shard_port_test, nothing_is_handed_on_before_the_doors_are_known_and_they_stay_for_the_epoch) {
  const auto begin = [this](uint64_t epoch) {
    port_.open(
        epoch,
        [this](std::vector<write_request>&& items) {
          for (auto& item : items) written_.push_back(item.message.call());
        },
        refused_, {}, false);
  };
  begin(7);
  ask(1, 7);
  EXPECT_TRUE(written_.empty());
  EXPECT_EQ(port_.open_epoch(), 0U);
  port_.know_doors(7, slot_doors{}, refused_);
  EXPECT_EQ(written_, (std::vector<uint64_t>{1}));
  EXPECT_EQ(port_.open_epoch(), 7U);
  ASSERT_TRUE(port_.set_door(7, {0, slot_count - 1, slot_door::wait}, refused_));
  begin(7);  // its writer had died
  EXPECT_TRUE(port_.knows_doors(7));
  ask(2, 7);
  EXPECT_EQ(written_.size(), 1U);
  // The writer of the next epoch may know them before the port hears of the epoch.
  port_.know_doors(8, slot_doors{}, refused_);
  EXPECT_FALSE(port_.knows_doors(8));
  begin(8);
  EXPECT_TRUE(port_.knows_doors(8));
  ask(3, 8);
  EXPECT_EQ(written_, (std::vector<uint64_t>{1, 3}));
}

}  // namespace
}  // namespace tern::storage

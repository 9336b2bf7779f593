#include "libs/shards/shard_channel.hpp"

#include <gtest/gtest.h>

#include <random>

#include "libs/testing/fake_clock.hpp"

namespace tern::shards {
namespace {

class collected final : public storage_sink {
 public:
  bool send(storage::v1::StorageRequest item) override {
    if (full) return false;
    items.push_back(std::move(item));
    return true;
  }
  bool send_all(std::vector<storage::v1::StorageRequest>& all) override {
    if (full) return false;
    for (auto& one : all) items.push_back(std::move(one));
    all.clear();
    return true;
  }
  void close() override {}
  /// Marks (numbers given by ask) of what was sent, in order.
  std::vector<uint64_t> marks() {
    std::vector<uint64_t> out;
    for (const auto& one : items) out.push_back(one.trace());
    items.clear();
    return out;
  }
  std::vector<storage::v1::StorageRequest> items;
  bool full = false;
};

using marks = std::vector<uint64_t>;

class shard_channel_test : public ::testing::Test {
 protected:
  void ask(uint64_t mark, patience how = patience::deadline) {
    storage::v1::StorageRequest request;
    request.set_trace(mark);
    channel.ask(std::move(request), how, [this, mark](storage_answer& got) {
      answered.emplace_back(mark, got.code);
      EXPECT_EQ(got.request.trace(), mark);
    });
  }
  void reply(const storage::v1::StorageRequest& to, errc code = errc::ok) {
    storage::v1::StorageReply back;
    back.set_call(to.call());
    back.set_epoch(to.epoch());
    back.set_code(static_cast<int32_t>(code));
    channel.on_reply(back);
  }
  /// The first request of a new target goes alone; its answer lets the rest follow.
  void prove() {
    ASSERT_EQ(out->items.size(), 1U);
    const auto first = out->items[0];
    out->items.clear();
    reply(first);
  }

  testing::fake_clock time;
  std::shared_ptr<collected> out = std::make_shared<collected>();
  shard_channel channel{"s0", 1000, time, {std::chrono::seconds(2), 4, std::chrono::milliseconds(50)}};
  std::vector<std::pair<uint64_t, errc>> answered;
};

TEST_F(shard_channel_test, the_first_request_of_a_target_goes_alone_and_the_rest_follows_in_order) {
  for (uint64_t mark = 1; mark <= 3; ++mark) ask(mark);
  channel.set_target(out, 7);
  EXPECT_EQ(out->items[0].epoch(), 7U);
  EXPECT_EQ(out->items[0].shard(), "s0");
  prove();
  EXPECT_EQ(out->marks(), (marks{2, 3}));
  ask(4);
  EXPECT_EQ(out->marks(), marks{4});
}

TEST_F(shard_channel_test, after_a_broken_link_everything_unanswered_is_sent_again_in_order) {
  channel.set_target(out, 7);
  ask(1);
  prove();
  for (uint64_t mark = 2; mark <= 4; ++mark) ask(mark);
  const auto third = out->items[1];
  reply(third);
  out->marks();
  channel.set_target(nullptr, 7);
  EXPECT_TRUE(out->items.empty());
  channel.set_target(out, 7);
  prove();
  EXPECT_EQ(out->marks(), marks{4});
  EXPECT_EQ(answered, (std::vector<std::pair<uint64_t, errc>>{{1, errc::ok}, {3, errc::ok}, {2, errc::ok}}));
}

TEST_F(shard_channel_test, a_refused_change_that_may_have_been_done_before_has_an_unknown_outcome) {
  const auto change = [this](bool keyless) {
    storage::v1::StorageRequest request;
    if (keyless) {
      request.mutable_room_change()->set_change(storage::v1::RoomChange::LEAVE);
    } else {
      request.mutable_append();
    }
    channel.ask(std::move(request), patience::deadline,
                [this](storage_answer& got) { answered.emplace_back(0, got.code); });
  };
  channel.set_target(out, 7);
  change(true);
  reply(std::exchange(out->items, {})[0], errc::permission_denied);  // for certain
  change(true);
  out->items.clear();
  channel.set_target(nullptr, 7);  // the answer is lost
  channel.set_target(out, 8);
  reply(std::exchange(out->items, {})[0], errc::permission_denied);
  change(false);  // has a key
  out->items.clear();
  channel.set_target(out, 9);
  reply(std::exchange(out->items, {})[0], errc::permission_denied);
  EXPECT_EQ(answered, (std::vector<std::pair<uint64_t, errc>>{
                          {0, errc::permission_denied}, {0, errc::deadline}, {0, errc::permission_denied}}));
}

TEST_F(shard_channel_test, wrong_owner_holds_back_and_sends_again_from_there_in_order) {
  channel.set_target(out, 7);
  ask(1);
  prove();
  ask(2);
  ask(3);
  const auto sent = std::exchange(out->items, {});
  reply(sent[0], errc::wrong_owner);
  reply(sent[1], errc::wrong_owner);
  ask(4);
  EXPECT_TRUE(out->items.empty());
  time.advance(std::chrono::milliseconds(60));
  channel.sweep();
  EXPECT_EQ(out->items[0].trace(), 2U);
  prove();
  EXPECT_EQ(out->marks(), (marks{3, 4}));
  EXPECT_EQ(answered.size(), 2U);
}

TEST_F(shard_channel_test, a_new_epoch_sends_everything_again_with_it) {
  channel.set_target(out, 7);
  ask(1);
  const auto old = std::exchange(out->items, {});
  channel.set_target(out, 8);
  ASSERT_EQ(out->items.size(), 1U);
  EXPECT_EQ(out->items[0].epoch(), 8U);
  reply(old[0], errc::wrong_owner);  // of the old epoch: it is on its way again already
  reply(out->items[0]);
  EXPECT_EQ(answered, (std::vector<std::pair<uint64_t, errc>>{{1, errc::ok}}));
}

TEST_F(shard_channel_test, requests_end_at_their_deadline_except_those_that_must_be_answered) {
  ask(1);
  ask(2, patience::until_answered);
  time.advance(std::chrono::seconds(3));
  channel.sweep();
  EXPECT_EQ(answered, (std::vector<std::pair<uint64_t, errc>>{{1, errc::deadline}}));
  channel.set_target(out, 7);
  EXPECT_EQ(out->marks(), marks{2});
  EXPECT_EQ(channel.waiting(), 1U);
}

TEST_F(shard_channel_test, a_late_answer_is_ignored) {
  channel.set_target(out, 7);
  ask(1);
  time.advance(std::chrono::seconds(3));
  channel.sweep();
  reply(out->items[0]);
  EXPECT_EQ(answered.size(), 1U);
  EXPECT_EQ(channel.waiting(), 0U);
}

TEST_F(shard_channel_test, above_the_bound_clients_are_told_of_overload) {
  for (uint64_t mark = 1; mark <= 5; ++mark) ask(mark);
  EXPECT_EQ(answered, (std::vector<std::pair<uint64_t, errc>>{{5, errc::overload}}));
  ask(6, patience::until_answered);
  EXPECT_EQ(channel.waiting(), 5U);
}

TEST_F(shard_channel_test, a_full_sink_is_tried_again_without_changing_the_order) {
  channel.set_target(out, 7);
  ask(1);
  prove();
  out->full = true;
  ask(2);
  ask(3);
  out->full = false;
  time.advance(std::chrono::milliseconds(60));
  channel.sweep();
  EXPECT_EQ(out->marks(), (marks{2, 3}));
}

TEST_F(shard_channel_test, at_the_end_everything_fails) {
  ask(1);
  ask(2, patience::until_answered);
  channel.fail_all(errc::cancelled);
  EXPECT_EQ(answered.size(), 2U);
  EXPECT_EQ(channel.waiting(), 0U);
}

TEST_F(shard_channel_test, random_breaks_and_refusals_never_reorder_what_storage_executes) {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    shard_channel chaos{"s0", 0, time, {std::chrono::hours(1), 1000, std::chrono::milliseconds(1)}};
    auto sink = std::make_shared<collected>();
    uint64_t epoch = 1;   // the map's
    uint64_t served = 1;  // storage's: may lag behind
    std::vector<uint64_t> first_time;
    std::map<uint64_t, int> ended;
    uint64_t asked = 0;
    chaos.set_target(sink, epoch);
    while (ended.size() < 200) {
      switch (random() % 8) {
        case 0:
        case 1:
        case 2:
          if (asked < 200) {
            storage::v1::StorageRequest request;
            const uint64_t mark = ++asked;
            request.set_trace(mark);
            chaos.ask(std::move(request), patience::until_answered,
                      [&ended, mark](storage_answer&) { ++ended[mark]; });
          }
          break;
        case 3:
          if (random() % 4 == 0) chaos.set_target(sink, ++epoch);
          break;
        case 4: served = epoch; break;
        case 5:
          if (random() % 4 == 0) {
            chaos.set_target(nullptr, epoch);
            sink = std::make_shared<collected>();  // what was not executed is lost with the link
            chaos.set_target(sink, epoch);
          }
          break;
        default: {
          const auto items = std::exchange(sink->items, {});
          for (const auto& one : items) {
            if (random() % 8 == 0) served = epoch;
            storage::v1::StorageReply back;
            back.set_call(one.call());
            back.set_epoch(one.epoch());
            if (one.epoch() != served) {
              back.set_code(static_cast<int32_t>(errc::wrong_owner));
            } else if (std::find(first_time.begin(), first_time.end(), one.trace()) == first_time.end()) {
              first_time.push_back(one.trace());
            }
            chaos.on_reply(back);
          }
          time.advance(std::chrono::milliseconds(2));
          chaos.sweep();
        }
      }
    }
    EXPECT_TRUE(std::is_sorted(first_time.begin(), first_time.end()));
    for (const auto& [mark, times] : ended) EXPECT_EQ(times, 1) << mark;
  }
}

}  // namespace
}  // namespace tern::shards

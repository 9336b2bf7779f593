#include "libs/rpc/pacer.hpp"

#include <gtest/gtest.h>
#include <tern/session/v1/session.pb.h>

#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "libs/rpc/grpc_stream.hpp"

namespace tern::rpc::detail {
namespace {

using namespace std::chrono_literals;
using session::v1::PeerItem;

/// Time by hand; calls by hand.
class hand_pacer final : public pacer {
 public:
  time_point now() const override { return time; }
  std::chrono::microseconds interval() const override { return 400us; }
  void later(std::weak_ptr<paced> who) override { waiting.push_back(std::move(who)); }
  void end_interval() {
    for (const auto& each : std::exchange(waiting, {})) {
      if (const auto still = each.lock()) still->go();
    }
  }
  time_point time{std::chrono::hours(1)};
  std::vector<std::weak_ptr<paced>> waiting;
};

/// A call whose writes the test completes.
class hand_wire final : public wire {
 public:
  void start_write(std::string batch) override {
    typed_list<PeerItem> items;
    uint64_t credit = 0;
    EXPECT_TRUE(parse_batch(batch, items, credit));
    std::vector<uint64_t> senders;
    for (const auto& one : items.values) senders.push_back(one.sender());
    writes.push_back(senders);
  }
  void start_read() override {}
  void finish() override { finished = true; }
  void cancel() override {}
  std::vector<std::vector<uint64_t>> writes;
  bool finished = false;
};

class no_receiver final : public receiver {
 public:
  void up(std::shared_ptr<raw_sink>) override {}
  std::unique_ptr<item_list> make_list() const override { return std::make_unique<typed_list<PeerItem>>(); }
  void items(item_list&) override {}
  void down() override {}
};

class paced_stream : public ::testing::Test {
 protected:
  paced_stream() { stream->open(std::make_shared<no_receiver>(), out, 100'000); }
  ~paced_stream() override { stream->on_done(); }
  void send(uint64_t sender, size_t bytes = 0) {
    PeerItem item;
    item.set_sender(sender);
    if (bytes != 0) item.set_payload(std::string(bytes, 'x'));
    EXPECT_TRUE(stream->send(item));
  }
  using list = std::vector<std::vector<uint64_t>>;

  std::shared_ptr<hand_pacer> pace = std::make_shared<hand_pacer>();
  hand_wire out;
  std::shared_ptr<grpc_stream> stream = std::make_shared<grpc_stream>(outbox_limits{}, pace);
};

TEST_F(paced_stream, an_item_of_an_idle_stream_is_written_at_once) {
  send(1);
  EXPECT_EQ(out.writes, (list{{1}}));
  stream->on_written(true);
  pace->time += 400us;
  send(2);
  EXPECT_EQ(out.writes, (list{{1}, {2}}));
  EXPECT_TRUE(pace->waiting.empty());
}

TEST_F(paced_stream, what_comes_soon_after_a_write_goes_together_at_the_end_of_the_interval) {
  send(1);
  stream->on_written(true);
  pace->time += 100us;
  for (const uint64_t sender : {2U, 3U, 4U}) send(sender);
  EXPECT_EQ(out.writes, (list{{1}}));
  EXPECT_EQ(pace->waiting.size(), 1U) << "asked for once";
  pace->time += 200us;
  pace->end_interval();
  EXPECT_EQ(out.writes, (list{{1}, {2, 3, 4}}));
  stream->on_written(true);
  send(5);
  EXPECT_EQ(out.writes.size(), 2U) << "the stream is busy";
  pace->time += 400us;
  pace->end_interval();
  EXPECT_EQ(out.writes.back(), std::vector<uint64_t>{5});
}

TEST_F(paced_stream, what_came_during_a_long_write_goes_when_it_is_over) {
  send(1);
  pace->time += 5ms;
  send(2);
  send(3);
  EXPECT_EQ(out.writes.size(), 1U);
  stream->on_written(true);
  EXPECT_EQ(out.writes, (list{{1}, {2, 3}}));
}

TEST_F(paced_stream, an_interval_that_ends_during_a_write_is_not_forgotten) {
  send(1);
  stream->on_written(true);
  send(2);
  for (uint64_t sender = 3; sender < 80; ++sender) send(sender);
  EXPECT_EQ(out.writes.size(), 2U) << "much waits: no reason to wait for more";
  send(80);
  pace->time += 300us;
  pace->end_interval();
  EXPECT_EQ(out.writes.size(), 2U);
  stream->on_written(true);
  ASSERT_EQ(out.writes.size(), 3U);
  EXPECT_EQ(out.writes.back().back(), 80U);
}

TEST_F(paced_stream, large_items_do_not_wait) {
  send(1);
  stream->on_written(true);
  send(2, 64 << 10);
  EXPECT_EQ(out.writes.size(), 2U);
}

TEST_F(paced_stream, what_waits_leaves_before_the_end_of_the_stream) {
  send(1);
  stream->on_written(true);
  send(2);
  stream->close();
  EXPECT_EQ(out.writes, (list{{1}, {2}}));
  EXPECT_FALSE(out.finished);
  stream->on_written(true);
  EXPECT_TRUE(out.finished);
  pace->end_interval();
  EXPECT_EQ(out.writes.size(), 2U);
}

TEST(pace_control, intervals_are_long_while_threads_run_late_and_short_again_after) {
  pace_control pace(400us, 2000us);
  for (int i = 0; i < 200; ++i) pace.woke(40us);
  EXPECT_EQ(pace.interval(), 400us) << "as late as an idle machine makes it";
  pace.woke(100ms);
  EXPECT_LT(pace.interval(), 600us) << "once is no rule";
  for (int i = 0; i < 200; ++i) pace.woke(160us);
  EXPECT_NEAR(static_cast<double>(pace.interval().count()), 1200, 20);
  for (int i = 0; i < 200; ++i) pace.woke(5ms);
  EXPECT_EQ(pace.interval(), 2000us);
  for (int i = 0; i < 200; ++i) pace.woke(0us);
  EXPECT_EQ(pace.interval(), 400us);
}

TEST(pace_control, without_room_it_stays_as_it_is) {
  pace_control pace(400us, {});
  for (int i = 0; i < 200; ++i) pace.woke(5ms);
  EXPECT_EQ(pace.interval(), 400us);
}

/// Asks again until it has been called so often.
class counter final : public paced, public std::enable_shared_from_this<counter> {
 public:
  counter(interval_pacer& pace, int calls) : pace_(pace), left_(calls) {}
  void go() override {
    if (--left_ == 0) {
      done.set_value();
    } else if (left_ > 0) {
      pace_.later(weak_from_this());
    }
  }
  std::promise<void> done;

 private:
  interval_pacer& pace_;
  std::atomic<int> left_;
};

TEST(interval_pacer, calls_whoever_waits_once_and_forgets_who_is_gone) {
  interval_pacer pace(100us);
  for (int round = 0; round < 3; ++round) {  // awake, asleep and woken again
    const auto who = std::make_shared<counter>(pace, 20);
    pace.later(std::make_shared<counter>(pace, 1));  // gone already
    pace.later(who);
    EXPECT_EQ(who->done.get_future().wait_for(30s), std::future_status::ready);
  }
}

TEST(interval_pacer, stops_with_somebody_waiting) {
  interval_pacer pace(1ms);
  const auto who = std::make_shared<counter>(pace, 1'000'000);
  pace.later(who);
  pace.stop();
  pace.stop();
  pace.later(who);
}

}  // namespace
}  // namespace tern::rpc::detail

// The pure parts of the stream scenario: accounts of frames, windows of a file, spans of memory.
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "tools/bench/file_window.hpp"
#include "tools/bench/frame_account.hpp"
#include "tools/bench/memory_sampler.hpp"

namespace tern::bench {
namespace {

using namespace std::chrono_literals;
using time_point = send_window::time_point;

TEST(frame_stamp, comes_back_from_the_body_it_was_put_in) {
  std::string body(20, 'x');
  put_stamp({-5, 1ULL << 63U}, body);
  EXPECT_EQ(read_stamp(body), (frame_stamp{-5, 1ULL << 63U}));
  EXPECT_EQ(body.substr(frame_stamp_bytes), "xxxx");
  EXPECT_FALSE(read_stamp(std::string_view(body).substr(0, frame_stamp_bytes - 1)));
}

TEST(frame_account, delivered_and_missed_are_all_that_was_sent) {
  std::mt19937 random(3);
  frame_account account;
  account.open(100);
  uint64_t came = 0;
  for (uint64_t sequence = 0; sequence < 1000; ++sequence) {
    if (random() % 3 == 0) continue;
    const bool counted = account.take(sequence);
    EXPECT_EQ(counted, sequence >= 100);
    came += counted ? 1 : 0;
  }
  EXPECT_EQ(account.delivered(), came);
  EXPECT_EQ(account.delivered() + account.missed(1000), 900U);
  EXPECT_EQ(account.stale(), 0U);
}

TEST(frame_account, a_frame_that_comes_again_is_stale_and_not_a_delivery) {
  frame_account account;
  account.open(0);
  EXPECT_TRUE(account.take(0));
  EXPECT_TRUE(account.take(3));
  EXPECT_FALSE(account.take(3));
  EXPECT_FALSE(account.take(1));
  EXPECT_EQ(account.delivered(), 2U);
  EXPECT_EQ(account.stale(), 2U);
  EXPECT_EQ(account.missed(4), 2U);
  EXPECT_EQ(account.expected_next(), 4U);
  account.open(4);
  EXPECT_EQ(account.missed(4), 0U);
  EXPECT_EQ(account.missed(6), 2U);
}

file_plan small_plan() { return {.total = 1000, .chunk = 100, .window = 300, .ack_every = 2, .timeout = 100ms}; }

TEST(send_window, sends_a_window_and_waits) {
  send_window sender(small_plan());
  const time_point now{};
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(sender.next(now)->offset, 100 * i);
  EXPECT_FALSE(sender.next(now));
  sender.acknowledge(200, false, now);
  EXPECT_EQ(sender.under_way(), 100U);
  EXPECT_EQ(sender.next(now)->offset, 300U);
  EXPECT_EQ(sender.next(now)->offset, 400U);
  EXPECT_FALSE(sender.next(now));
}

TEST(send_window, the_last_piece_is_what_is_left) {
  auto plan = small_plan();
  plan.total = 150;
  send_window sender(plan);
  EXPECT_EQ(sender.next({})->size, 100U);
  const auto last = sender.next({});
  ASSERT_TRUE(last);
  EXPECT_EQ(last->size, 50U);
  sender.acknowledge(150, false, {});
  EXPECT_TRUE(sender.complete());
  EXPECT_FALSE(sender.expire(time_point{} + 1h));
}

TEST(send_window, starts_again_from_the_first_hole_on_timeout) {
  send_window sender(small_plan());
  time_point now{};
  while (sender.next(now)) {
  }
  sender.acknowledge(100, false, now + 50ms);
  EXPECT_FALSE(sender.expire(now + 149ms));
  EXPECT_TRUE(sender.expire(now + 150ms));
  EXPECT_EQ(sender.next(now + 150ms)->offset, 100U);
  EXPECT_EQ(sender.sent_again(), 100U);
  EXPECT_EQ(sender.timeouts(), 1U);
}

TEST(send_window, a_hole_is_answered_once_and_an_acknowledgement_of_what_was_under_way_still_counts) {
  send_window sender(small_plan());
  while (sender.next({})) {
  }
  sender.acknowledge(100, true, {});
  EXPECT_EQ(sender.rewinds(), 1U);
  EXPECT_EQ(sender.next({})->offset, 100U);
  sender.acknowledge(100, true, {});
  EXPECT_EQ(sender.rewinds(), 1U);
  EXPECT_EQ(sender.next({})->offset, 200U);
  sender.acknowledge(300, false, {});
  EXPECT_EQ(sender.under_way(), 0U);
  sender.acknowledge(5000, false, {});
  EXPECT_EQ(sender.acknowledged(), 300U);
}

TEST(receive_window, acknowledges_every_second_piece_holes_once_and_the_end) {
  auto plan = small_plan();
  plan.total = 300;
  receive_window receiver(plan);
  using verdict = receive_window::verdict;
  EXPECT_EQ(receiver.take(0, 100), verdict::taken);
  EXPECT_FALSE(receiver.acknowledgement_due());
  EXPECT_EQ(receiver.take(200, 100), verdict::hole);
  EXPECT_TRUE(receiver.acknowledgement_due());
  EXPECT_TRUE(receiver.hole());
  EXPECT_EQ(receiver.take(200, 100), verdict::hole);
  EXPECT_FALSE(receiver.acknowledgement_due());
  EXPECT_EQ(receiver.take(100, 100), verdict::taken);
  EXPECT_FALSE(receiver.hole());
  EXPECT_EQ(receiver.take(200, 100), verdict::taken);
  EXPECT_TRUE(receiver.acknowledgement_due());
  EXPECT_TRUE(receiver.complete());
  EXPECT_EQ(receiver.take(200, 100), verdict::repeated);
  EXPECT_TRUE(receiver.acknowledgement_due()) << "the last acknowledgement may have been lost";
}

/// Pieces and acknowledgements over channels that keep order and lose some; time passes when nothing moves.
TEST(file_windows, a_file_arrives_whole_over_channels_that_lose) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const auto lost = [&] { return random() % 100 < seed; };
    const file_plan plan{.total = 12'345, .chunk = 100, .window = 1000, .ack_every = 3, .timeout = 100ms};
    send_window sender(plan);
    receive_window receiver(plan);
    std::deque<send_window::piece> pieces;
    std::deque<std::pair<uint64_t, bool>> words;
    time_point now{};
    uint64_t taken = 0;
    uint64_t lost_bytes = 0;
    for (int step = 0; step < 1'000'000 && !sender.complete(); ++step) {
      now += 1ms;
      sender.expire(now);
      while (const auto piece = sender.next(now)) {
        EXPECT_LE(sender.under_way(), plan.window);
        if (lost()) {
          lost_bytes += piece->size;
        } else {
          pieces.push_back(*piece);
        }
      }
      for (; !pieces.empty() && random() % 4 != 0; pieces.pop_front()) {
        const auto piece = pieces.front();
        if (receiver.take(piece.offset, piece.size) == receive_window::verdict::taken) {
          EXPECT_EQ(piece.offset, taken);
          taken += piece.size;
        }
        if (receiver.acknowledgement_due() && !lost()) words.emplace_back(receiver.arrived(), receiver.hole());
      }
      for (; !words.empty() && random() % 4 != 0; words.pop_front()) {
        sender.acknowledge(words.front().first, words.front().second, now);
      }
    }
    EXPECT_TRUE(sender.complete() && receiver.complete()) << seed;
    EXPECT_EQ(taken, plan.total);
    EXPECT_GE(sender.sent_again(), lost_bytes) << "loss of " << seed << " %";
    if (seed == 0) {
      EXPECT_EQ(sender.sent_again(), 0U);
    }
  }
}

TEST(memory_span, is_least_and_most_of_the_samples_of_its_time) {
  const std::chrono::steady_clock::time_point start{};
  const std::vector<memory_sample> samples{{start + 1s, 50, 500}, {start + 2s, 10, 100}, {start + 3s, 30, 300}};
  const auto span = span_of(samples, start + 1s, start + 3s);
  EXPECT_EQ(span.samples, 2U);
  EXPECT_EQ(span.least_pss, 10U);
  EXPECT_EQ(span.most_pss, 50U);
  EXPECT_EQ(span.least_rss, 100U);
  EXPECT_EQ(span.most_rss, 500U);
  EXPECT_EQ(span_of(samples, start + 4s, start + 5s).samples, 0U);
}

}  // namespace
}  // namespace tern::bench

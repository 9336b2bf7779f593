#include "libs/delivery/inbound.hpp"

#include <random>
#include <set>

namespace tern::delivery {
namespace {

using queue = inbound<int>;

std::vector<uint64_t> startable(queue& q) {
  std::vector<uint64_t> out;
  queue::runnable one;
  while (q.next(one)) out.push_back(one.seq);
  return out;
}

TEST(inbound_test, messages_are_pipelined_and_confirmed_in_order) {
  queue q;
  for (uint64_t seq = 1; seq <= 3; ++seq) EXPECT_EQ(q.accept(seq, false, 0), queue::verdict::taken);
  EXPECT_EQ(startable(q), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_FALSE(q.finish(2));
  EXPECT_EQ(q.confirmed(), 0U);
  EXPECT_TRUE(q.finish(1));
  EXPECT_EQ(q.confirmed(), 2U);
  EXPECT_TRUE(q.finish(3));
  EXPECT_TRUE(q.idle());
}

TEST(inbound_test, a_barrier_waits_for_all_before_it_and_holds_back_all_after_it) {
  queue q;
  EXPECT_EQ(q.accept(1, false, 0), queue::verdict::taken);
  EXPECT_EQ(q.accept(2, true, 0), queue::verdict::taken);
  EXPECT_EQ(q.accept(3, false, 0), queue::verdict::taken);
  EXPECT_EQ(startable(q), std::vector<uint64_t>{1});
  q.finish(1);
  EXPECT_EQ(startable(q), std::vector<uint64_t>{2});
  q.finish(2);
  EXPECT_EQ(startable(q), std::vector<uint64_t>{3});
}

TEST(inbound_test, replays_and_gaps_are_told_apart) {
  queue q(5);
  EXPECT_EQ(q.accept(4, false, 0), queue::verdict::replay);
  EXPECT_EQ(q.accept(6, false, 0), queue::verdict::gap);
  EXPECT_EQ(q.accept(5, false, 0), queue::verdict::taken);
  EXPECT_EQ(q.accept(5, false, 0), queue::verdict::replay);
  EXPECT_EQ(q.confirmed(), 4U);
}

TEST(inbound_test, the_number_of_kept_frames_is_bounded) {
  queue q(1, 2);
  EXPECT_EQ(q.accept(1, false, 0), queue::verdict::taken);
  EXPECT_EQ(q.accept(2, false, 0), queue::verdict::taken);
  EXPECT_EQ(q.accept(3, false, 0), queue::verdict::full);
}

TEST(inbound_test, finishing_a_frame_that_has_not_started_changes_nothing) {
  queue q;
  EXPECT_EQ(q.accept(1, true, 0), queue::verdict::taken);
  EXPECT_FALSE(q.finish(1));
  EXPECT_FALSE(q.finish(9));
  EXPECT_EQ(startable(q), std::vector<uint64_t>{1});
  EXPECT_TRUE(q.finish(1));
  EXPECT_FALSE(q.finish(1));
}

TEST(inbound_test, random_schedules_start_each_frame_once_and_respect_barriers) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    queue q;
    std::vector<bool> barrier{false};
    std::set<uint64_t> running;
    uint64_t started = 0;
    while (q.confirmed() < 60) {
      if (barrier.size() <= 60 && random() % 2 == 0) {
        barrier.push_back(random() % 3 == 0);
        ASSERT_EQ(q.accept(barrier.size() - 1, barrier.back(), 0), queue::verdict::taken);
      }
      for (const uint64_t seq : startable(q)) {
        ASSERT_EQ(seq, ++started);
        if (barrier[seq]) {
          ASSERT_TRUE(running.empty());
        } else {
          for (const uint64_t other : running) ASSERT_FALSE(barrier[other]);
        }
        running.insert(seq);
      }
      if (!running.empty() && random() % 2 == 0) {
        const auto one = std::next(running.begin(), static_cast<std::ptrdiff_t>(random() % running.size()));
        q.finish(*one);
        running.erase(one);
      }
    }
  }
}

}  // namespace
}  // namespace tern::delivery

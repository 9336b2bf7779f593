#include "libs/placement/lease_trust.hpp"

#include <gtest/gtest.h>

namespace tern::placement {
namespace {

using std::chrono::milliseconds;
using time_point = clock::time_point;

time_point at(int ms) { return time_point{std::chrono::hours(1) + milliseconds(ms)}; }

/// With a lease of replica 0 from a heartbeat sent at 0.
lease_trust leased(size_t replicas) {
  lease_trust made(replicas);
  made.up(1, 0, at(0));
  made.leased(1, at(0));
  return made;
}

TEST(lease_trust, is_none_before_the_first_lease) {
  lease_trust trust(3);
  EXPECT_FALSE(trust.valid(at(0)));
  trust.up(1, 0, at(0));
  trust.not_leader(1, at(1));
  trust.up(2, 1, at(0));
  trust.not_leader(2, at(1));
  trust.up(3, 2, at(0));
  trust.not_leader(3, at(1));
  EXPECT_FALSE(trust.valid(at(2)));
}

TEST(lease_trust, ends_four_seconds_after_the_heartbeat_whatever_happens_in_silence) {
  const auto trust = leased(3);
  EXPECT_TRUE(trust.valid(at(3999)));
  EXPECT_FALSE(trust.valid(at(4000)));
}

TEST(lease_trust, bridges_the_death_of_a_leader_until_before_a_new_one_may_give_anything_away) {
  auto trust = leased(3);
  trust.broke(1, at(3000));
  EXPECT_TRUE(trust.valid(at(8999)));
  EXPECT_FALSE(trust.valid(at(9000))) << "cut off from every replica";
}

TEST(lease_trust, a_stream_that_breaks_too_late_says_nothing) {
  auto trust = leased(3);
  trust.broke(1, at(4000));
  EXPECT_FALSE(trust.valid(at(4001)));
  auto single = leased(1);
  single.broke(1, at(4000));
  EXPECT_FALSE(single.valid(at(4001)));
}

TEST(lease_trust, with_one_replica_lasts_as_long_as_that_is_dead) {
  auto trust = leased(1);
  trust.broke(1, at(100));
  EXPECT_TRUE(trust.valid(at(3'600'000)));
  trust.up(2, 0, at(3'600'000));
  EXPECT_TRUE(trust.valid(at(3'603'999))) << "it has time to get a lease";
  EXPECT_FALSE(trust.valid(at(3'604'000)));
}

TEST(lease_trust, with_one_replica_lasts_as_long_as_that_does_not_lead) {
  auto trust = leased(1);
  trust.not_leader(1, at(100));
  for (int i = 1; i < 100; ++i) {
    trust.up(static_cast<uint64_t>(i + 1), 0, at(i * 1000));
    EXPECT_TRUE(trust.valid(at(i * 1000)));
    trust.not_leader(static_cast<uint64_t>(i + 1), at(i * 1000 + 1));
  }
  EXPECT_TRUE(trust.valid(at(3'600'000)));
}

TEST(lease_trust, goes_on_as_long_as_every_replica_says_that_it_does_not_lead) {
  auto trust = leased(3);
  trust.not_leader(1, at(100));
  uint64_t stream = 1;
  for (int second = 1; second <= 60; ++second) {
    for (size_t replica = 0; replica < 3; ++replica) {
      trust.up(++stream, replica, at(second * 1000));
      trust.not_leader(stream, at(second * 1000 + 5));
    }
    EXPECT_TRUE(trust.valid(at(second * 1000 + 999)));
  }
  EXPECT_TRUE(trust.valid(at(68'999)));
  EXPECT_FALSE(trust.valid(at(69'000)));
}

TEST(lease_trust, does_not_go_on_when_one_replica_is_out_of_reach) {
  auto trust = leased(3);
  trust.not_leader(1, at(100));
  for (int second = 1; second <= 20; ++second) {
    trust.up(static_cast<uint64_t>(second + 1), 1, at(second * 1000));
    trust.not_leader(static_cast<uint64_t>(second + 1), at(second * 1000 + 5));
  }
  EXPECT_FALSE(trust.valid(at(9000))) << "the other one may lead, and have waited for us";
}

TEST(lease_trust, does_not_come_back_once_it_was_lost) {
  auto trust = leased(2);
  trust.up(2, 1, at(5000));
  trust.not_leader(2, at(5001));
  trust.not_leader(1, at(5002));
  EXPECT_FALSE(trust.valid(at(5003)));
}

TEST(lease_trust, counts_from_a_hello_that_is_not_answered) {
  auto trust = leased(3);
  trust.broke(1, at(100));
  trust.up(2, 1, at(200));
  EXPECT_TRUE(trust.valid(at(4199)));
  EXPECT_FALSE(trust.valid(at(4200))) << "it may lead, have counted us in, and have heard no more";
  trust.abandoned(2, at(4200));
  EXPECT_FALSE(trust.valid(at(4200)));
}

TEST(lease_trust, a_replica_that_does_not_lead_has_no_use_for_our_hello) {
  auto trust = leased(3);
  trust.broke(1, at(100));
  trust.up(2, 1, at(200));
  trust.not_leader(2, at(210));
  EXPECT_TRUE(trust.valid(at(8999)));
}

TEST(lease_trust, a_hello_on_a_stream_that_was_given_up_counts_until_its_replica_refuses_another) {
  auto trust = leased(2);
  trust.not_leader(1, at(100));
  trust.up(2, 1, at(200));
  trust.not_leader(2, at(210));
  trust.up(3, 1, at(1000));
  trust.abandoned(3, at(4000));
  trust.up(4, 0, at(4100));
  trust.not_leader(4, at(4110));
  EXPECT_TRUE(trust.valid(at(4999)));
  auto other = trust;
  EXPECT_FALSE(trust.valid(at(5000))) << "whoever heard it may lead, and count from there";
  trust.up(5, 1, at(5100));
  trust.not_leader(5, at(5110));
  EXPECT_FALSE(trust.valid(at(5111))) << "too late: what is over is over";
  other.up(5, 1, at(4500));
  other.not_leader(5, at(4510));
  EXPECT_TRUE(other.valid(at(8999)));
}

TEST(lease_trust, of_the_next_leader_counts_as_any_other) {
  auto trust = leased(3);
  trust.broke(1, at(2000));
  trust.up(2, 1, at(6000));
  trust.leased(2, at(6000));
  EXPECT_TRUE(trust.valid(at(9999)));
  EXPECT_FALSE(trust.valid(at(10'000)));
  EXPECT_EQ(trust.renewed_at(), at(6000));
}

}  // namespace
}  // namespace tern::placement

// The election alone, then several replicas on one row with clocks, crashes, pauses and a database that comes and
// goes.
#include "services/routing/leader.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "libs/testing/fake_clock.hpp"
#include "services/routing/meta_store.hpp"

namespace tern::routing {
namespace {

using std::chrono::milliseconds;
using step = election::step;

leader_row row_of(const std::string& node, uint64_t incarnation, uint64_t term = 0, uint64_t beat = 0) {
  return {term, node, incarnation, "address of " + node, beat};
}

class election_of_a : public ::testing::Test {
 protected:
  testing::fake_clock time;
  election self{time, {}, row_of("a", 1)};
};

TEST_F(election_of_a, takes_what_is_free_at_once) {
  EXPECT_EQ(self.next(), step::look);
  self.looked({});
  EXPECT_EQ(self.next(), step::take_over);
  EXPECT_FALSE(self.leads());
  self.took_over(1, time.now());
  EXPECT_EQ(self.leads(), 1U);
  EXPECT_EQ(self.next(), step::none);
  time.advance(milliseconds(1000));
  EXPECT_EQ(self.next(), step::renew);
}

TEST_F(election_of_a, waits_until_the_row_has_not_changed_for_the_lease) {
  EXPECT_EQ(self.next(), step::look);
  self.looked(row_of("b", 7, 3, 1));
  EXPECT_EQ(self.leader().node, "b");
  for (int i = 0; i < 7; ++i) {
    EXPECT_EQ(self.next(), step::none);
    time.advance(milliseconds(500));
    EXPECT_EQ(self.next(), step::look);
    self.looked(row_of("b", 7, 3, 1));
  }
  time.advance(milliseconds(500));
  EXPECT_EQ(self.next(), step::take_over);
  EXPECT_EQ(self.leader().node, "") << "nobody leads for sure";
}

TEST_F(election_of_a, follows_as_long_as_the_beat_changes) {
  for (uint64_t i = 0; i < 40; ++i) {
    ASSERT_EQ(self.next(), step::look);
    self.looked(row_of("b", 7, 3, i / 2));
    time.advance(milliseconds(500));
  }
}

TEST_F(election_of_a, does_not_wait_for_its_own_former_process) {
  EXPECT_EQ(self.next(), step::look);
  self.looked(row_of("a", 99, 3, 1));
  EXPECT_EQ(self.next(), step::take_over);
  self.refused();  // it has beaten: it lives after all
  EXPECT_EQ(self.next(), step::look);
  self.looked(row_of("a", 99, 3, 2));
  EXPECT_EQ(self.next(), step::none);
  time.advance(milliseconds(500));
  EXPECT_EQ(self.next(), step::look) << "two processes of one name: this one waits";
}

TEST_F(election_of_a, leads_no_more_when_it_could_not_renew_for_three_seconds) {
  self.next();
  self.looked({});
  self.next();
  self.took_over(1, time.now());
  time.advance(milliseconds(1000));
  EXPECT_EQ(self.next(), step::renew);
  self.renewed(1, time.now());
  time.advance(milliseconds(1000));
  EXPECT_EQ(self.next(), step::renew);
  self.failed();
  time.advance(milliseconds(500));
  EXPECT_EQ(self.next(), step::renew);
  time.advance(milliseconds(1499));
  EXPECT_TRUE(self.leads());
  time.advance(milliseconds(1));
  EXPECT_FALSE(self.leads());
  EXPECT_EQ(self.next(), step::look);
  self.looked(row_of("a", 1, 1, 4));
  EXPECT_EQ(self.next(), step::take_over) << "nobody else did meanwhile: with a new term, and a new beginning";
}

TEST_F(election_of_a, counts_a_renewal_from_its_sending) {
  self.next();
  self.looked({});
  self.next();
  const auto sent = time.now();
  time.advance(milliseconds(2500));  // the database was slow
  self.took_over(1, sent);
  EXPECT_TRUE(self.leads());
  time.advance(milliseconds(500));
  EXPECT_FALSE(self.leads());
}

TEST_F(election_of_a, does_nothing_any_more_once_retired) {
  self.next();
  self.looked({});
  self.retire();
  time.advance(std::chrono::hours(1));
  EXPECT_EQ(self.next(), step::none);
}

/// Replicas over one memory store. Each call of the database happens at once, or fails, or happens and is not
/// answered.
class replicas {
 public:
  explicit replicas(unsigned seed) : random_(seed) {
    for (int i = 0; i < 3; ++i) restart(i);
  }
  /// One step of everybody; at most one may lead by its own knowledge at any time.
  void pass(milliseconds by) {
    time_.advance(by);
    for (int i = 0; i < 3; ++i) {
      if (!paused_[i]) act(i);
    }
  }
  void restart(int i) {
    selves_[i] = row_of(name(i), ++incarnations_);
    all_[i] = std::make_unique<election>(time_, leader_options{}, selves_[i]);
  }
  void pause(int i) { paused_[i] = true; }
  void wake(int i) { paused_[i] = false; }
  int leaders() const {
    int count = 0;
    for (int i = 0; i < 3; ++i) count += all_[i]->leads() ? 1 : 0;
    return count;
  }
  uint64_t term() { return store_->leader()->term; }
  bool chance(unsigned one_in) { return std::uniform_int_distribution<unsigned>(1, one_in)(random_) == 1; }
  int any() { return std::uniform_int_distribution<int>(0, 2)(random_); }
  bool cut[3] = {false, false, false};  // from the database

 private:
  static std::string name(int i) { return std::string(1, static_cast<char>('a' + i)); }
  void act(int i) {
    auto& one = *all_[i];
    const auto what = one.next();
    if (what == step::none) return;
    if (cut[i]) {
      one.failed();
      return;
    }
    const bool lost = chance(20);
    const auto sent = time_.now();
    result<void> done;
    if (what == step::look) {
      if (!lost) one.looked(*store_->leader());
    } else if (what == step::take_over) {
      done = store_->take_over(one.seen(), selves_[i]);
      if (done && !lost) one.took_over(one.seen().term + 1, sent);
    } else {
      done = store_->renew(*one.leads());
      if (done && !lost) one.renewed(*one.leads(), sent);
    }
    if (lost) {
      if (what == step::take_over) one.refused();
      one.failed();
    } else if (!done) {
      one.refused();
    }
  }

  testing::fake_clock time_;
  std::minstd_rand random_;
  std::unique_ptr<meta_store> store_ = make_meta_store("memory:");
  std::unique_ptr<election> all_[3];
  leader_row selves_[3];
  bool paused_[3] = {false, false, false};
  uint64_t incarnations_ = 0;
};

TEST(elections, never_have_two_leaders_and_soon_have_one) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    replicas all(seed);
    int without = 0;
    uint64_t term = 0;
    for (int i = 0; i < 2000; ++i) {
      if (all.chance(150)) all.pause(all.any());
      if (all.chance(100)) all.wake(all.any());
      if (all.chance(200)) all.restart(all.any());
      if (all.chance(150)) all.cut[all.any()] ^= true;
      all.pass(milliseconds(100));
      ASSERT_LE(all.leaders(), 1) << "seed " << seed << " step " << i;
      ASSERT_GE(all.term(), term);
      term = all.term();
    }
    for (int i = 0; i < 3; ++i) {
      all.wake(i);
      all.cut[i] = false;
    }
    while (all.leaders() == 0 && without < 60) {
      all.pass(milliseconds(100));
      ++without;
    }
    ASSERT_LT(without, 60) << "seed " << seed << ": no leader after 6 s";
  }
}

}  // namespace
}  // namespace tern::routing

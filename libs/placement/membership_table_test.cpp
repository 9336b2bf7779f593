#include "libs/placement/membership_table.hpp"

#include <gtest/gtest.h>

#include "libs/testing/fake_clock.hpp"

namespace tern::placement {
namespace {

using std::chrono::milliseconds;

class membership_table_rules : public ::testing::Test {
 protected:
  void join(const std::string& name, uint64_t incarnation = 1, bool wanted = true) {
    table.join({{name, "session", "addr-" + name, incarnation, false}, {}, wanted});
  }
  std::vector<std::string> takers() const {
    std::vector<std::string> names;
    for (const auto& each : table.candidates("session")) names.push_back(each.name);
    return names;
  }
  bool alive(const std::string& name) const { return table.find(name) != nullptr && table.find(name)->info.alive; }

  testing::fake_clock time;
  membership_table table{time, {}};
};

using names = std::vector<std::string>;

TEST_F(membership_table_rules, a_new_node_waits_for_others_before_it_takes_ranges) {
  join("a");
  EXPECT_TRUE(alive("a"));
  EXPECT_EQ(takers(), names{});
  time.advance(milliseconds(299));
  EXPECT_FALSE(table.tick());
  join("b");
  time.advance(milliseconds(1));
  EXPECT_TRUE(table.tick());
  EXPECT_EQ(takers(), names{"a"});
  time.advance(milliseconds(299));
  EXPECT_TRUE(table.tick());
  EXPECT_EQ(takers(), (names{"a", "b"}));
}

TEST_F(membership_table_rules, a_silent_node_is_dead_after_its_lease) {
  join("a");
  time.advance(milliseconds(5000));
  table.tick();
  EXPECT_TRUE(table.renew("a", 1));
  time.advance(milliseconds(5999));
  table.tick();
  EXPECT_TRUE(alive("a"));
  time.advance(milliseconds(1));
  EXPECT_TRUE(table.tick());
  EXPECT_FALSE(alive("a"));
  EXPECT_EQ(takers(), names{});
  EXPECT_FALSE(table.renew("a", 1)) << "a dead node must join again";
}

TEST_F(membership_table_rules, a_node_whose_stream_broke_is_dead_sooner_unless_it_comes_back) {
  join("a");
  table.disconnected("a", 1);
  time.advance(milliseconds(1999));
  table.tick();
  EXPECT_TRUE(alive("a"));
  join("a");
  time.advance(milliseconds(5000));
  table.tick();
  EXPECT_TRUE(alive("a"));
  table.disconnected("a", 1);
  time.advance(milliseconds(2000));
  table.tick();
  EXPECT_FALSE(alive("a"));
}

TEST_F(membership_table_rules, the_end_of_an_old_incarnations_stream_does_not_hurt_the_new_one) {
  join("a", 1);
  join("a", 2);
  table.disconnected("a", 1);
  table.leave("a", 1);
  EXPECT_FALSE(table.renew("a", 1));
  time.advance(milliseconds(5999));
  table.tick();
  EXPECT_TRUE(alive("a"));
}

TEST_F(membership_table_rules, a_restarted_node_is_a_candidate_at_once_and_marked_until_committed) {
  join("a", 1);
  time.advance(milliseconds(300));
  table.tick();
  join("a", 2);
  ASSERT_EQ(table.candidates("session").size(), 1U);
  EXPECT_TRUE(table.candidates("session")[0].restarted);
  auto committed = table.nodes();
  join("a", 3);
  table.restarts_done(committed);
  EXPECT_TRUE(table.candidates("session")[0].restarted) << "it restarted again meanwhile";
  table.restarts_done(table.nodes());
  EXPECT_FALSE(table.candidates("session")[0].restarted);
}

TEST_F(membership_table_rules, a_draining_node_is_alive_but_no_candidate) {
  join("a");
  time.advance(milliseconds(300));
  table.tick();
  join("a", 1, false);
  EXPECT_TRUE(alive("a"));
  EXPECT_EQ(takers(), names{});
}

TEST_F(membership_table_rules, after_goodbye_a_node_is_dead_at_once) {
  join("a");
  table.leave("a", 1);
  EXPECT_FALSE(alive("a"));
}

TEST_F(membership_table_rules, an_expected_node_has_one_lease_to_come_back) {
  table.expect({"a", "session", "x", 7, true}, {}, true);
  EXPECT_EQ(takers(), names{"a"});
  time.advance(milliseconds(5999));
  table.tick();
  EXPECT_EQ(takers(), names{"a"});
  join("a", 7);
  time.advance(milliseconds(5999));
  table.tick();
  EXPECT_EQ(takers(), names{"a"});
  EXPECT_FALSE(table.candidates("session")[0].restarted);
  table.expect({"b", "session", "x", 7, true}, {}, true);
  time.advance(milliseconds(6000));
  table.tick();
  EXPECT_FALSE(alive("b"));
}

TEST_F(membership_table_rules, an_expected_node_with_a_new_incarnation_has_restarted) {
  table.expect({"a", "session", "x", 7, true}, {}, true);
  join("a", 8);
  EXPECT_TRUE(table.candidates("session")[0].restarted);
}

TEST_F(membership_table_rules, dead_nodes_are_forgotten_unless_they_own_something) {
  join("a");
  join("b");
  table.leave("a", 1);
  table.leave("b", 1);
  table.forget_dead({"b"});
  EXPECT_EQ(table.find("a"), nullptr);
  EXPECT_NE(table.find("b"), nullptr);
}

TEST_F(membership_table_rules, keeps_what_heartbeats_say_of_the_incarnation_that_is_there) {
  join("a", 2);
  table.report("a", 1, 9, 9);
  table.report("b", 1, 9, 9);
  EXPECT_EQ(table.find("a")->load, 0U);
  EXPECT_EQ(table.find("a")->heard, clock::time_point{});
  table.report("a", 2, 7, 3);
  EXPECT_EQ(table.find("a")->load, 7U);
  EXPECT_EQ(table.find("a")->map_version, 3U);
  EXPECT_EQ(table.find("a")->heard, time.now());
  join("c");
  table.shift_load("a", "c", 5);
  table.shift_load("a", "c", 5);
  EXPECT_EQ(table.find("a")->load, 0U);
  EXPECT_EQ(table.find("c")->load, 10U);
}

TEST_F(membership_table_rules, knows_whose_stream_is_up) {
  table.expect({"a", "session", "x", 7, true}, {}, true);
  EXPECT_FALSE(table.find("a")->connected);
  EXPECT_TRUE(table.find("a")->moves) << "it is not asked for anything before it is back";
  join("a", 7);
  EXPECT_TRUE(table.find("a")->connected);
  EXPECT_FALSE(table.find("a")->moves);
  table.disconnected("a", 7);
  EXPECT_FALSE(table.find("a")->connected);
}

}  // namespace
}  // namespace tern::placement

#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

class account_rate_test : public session_fixture {
 protected:
  account_rate_test() { options.account_rate_per_second = 5; }
  void ask(uint64_t conn, account_id who = alice) {
    frame(conn, who, frame_type::business, req_of(2));
    settle();
  }
  bool closed(uint64_t conn) const {
    for (const auto& item : gateway->items) {
      if (item.has_close() && item.close().conn() == conn) return !item.close().logout();
    }
    return false;
  }
};

TEST_F(account_rate_test, an_account_is_cut_off_at_the_terminal_that_goes_over_its_rate) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice));
  ASSERT_TRUE(log_on(3, bob));
  for (const uint64_t conn : {1U, 2U, 1U, 2U, 1U}) ask(conn);
  EXPECT_EQ(error_of(1), 0);
  EXPECT_EQ(error_of(2), 0);
  ask(2);
  EXPECT_EQ(error_of(2), 5105);
  EXPECT_TRUE(closed(2));
  EXPECT_FALSE(closed(1));
  ask(3, bob);
  EXPECT_EQ(error_of(3), 0);
  time.advance(std::chrono::milliseconds(200));
  ask(1);
  EXPECT_FALSE(closed(1));
  EXPECT_NE(registry.render().find("tern_session_refused_total{reason=\"rate\"} 1"), std::string::npos);
}

TEST_F(account_rate_test, what_was_sent_before_is_still_done) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(3, bob));
  const std::string bob_node = to_node(bob);
  for (int i = 0; i < 8; ++i) frame(1, alice, frame_type::message, text_to(bob_node, std::to_string(i)));
  settle();
  EXPECT_TRUE(closed(1));
  EXPECT_EQ(frames(3, frame_type::message).size(), 5U);
}

TEST_F(account_rate_test, without_a_limit_nobody_is_cut_off) {
  options.account_rate_per_second = 0;
  ASSERT_TRUE(log_on(1, alice));
  for (int i = 0; i < 100; ++i) ask(1);
  EXPECT_FALSE(closed(1));
}

}  // namespace
}  // namespace tern::session

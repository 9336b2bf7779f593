#include "services/session/testing/room_fixture.hpp"

namespace tern::session {
namespace {

class business_password_test : public room_fixture {
 protected:
  business_password_test() { storage.account_passwords[alice.value] = "old"; }
  void change(const std::string& old_one, const std::string& new_one) {
    wire::tim_req req = req_of(21);
    req.req_str = old_one;
    req.req_str2 = new_one;
    ask(alice, wire::frame_type::business, req);
  }
};

TEST_F(business_password_test, a_new_password_ends_the_other_terminals_only) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice));
  const uint64_t own = terminal_of(alice);
  forget_all();
  change("old", "new");
  std::set<uint64_t> ended;
  for (const auto& item : gateway->items) {
    if (!item.has_close()) continue;
    EXPECT_TRUE(item.close().logout());
    ended.insert(item.close().conn());
  }
  EXPECT_EQ(ended, (std::set<uint64_t>{1, 2}));
  const auto got = answer(alice);
  ASSERT_TRUE(got && got->ok);
  EXPECT_EQ(got->t, 21);
  EXPECT_EQ(storage.account_passwords[alice.value], "new");
  EXPECT_FALSE(ended.contains(own));
}

TEST_F(business_password_test, a_wrong_old_or_unusable_new_password_changes_nothing) {
  ASSERT_TRUE(log_on(1, alice));
  terminal_of(alice);
  const std::pair<std::string, std::string> bad[] = {
      {"wrong", "new"}, {"", "new"}, {"old", ""}, {"old", std::string(513, 'x')}, {"", ""}};
  for (const auto& [old_one, new_one] : bad) {
    change(old_one, new_one);
    EXPECT_EQ(code(alice), 4112) << old_one;
  }
  ask(alice, wire::frame_type::business, req_of(21));
  EXPECT_EQ(code(alice), 4112);
  EXPECT_EQ(storage.account_passwords[alice.value], "old");
  for (const auto& item : gateway->items) EXPECT_FALSE(item.has_close());
  change("old", std::string(512, 'x'));
  EXPECT_TRUE(answer(alice)->ok);
}

TEST_F(business_password_test, a_throttled_change_says_so) {
  storage.fail_next(storage::v1::StorageRequest::kPasswordChange, errc::rate_limited);
  change("old", "new");
  EXPECT_EQ(code(alice), 5105);
}

}  // namespace
}  // namespace tern::session

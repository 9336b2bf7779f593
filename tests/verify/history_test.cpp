#include "tests/verify/history.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/verify/model_chat.hpp"

namespace tern::verify {
namespace {

std::string list(const std::vector<violation>& found) {
  std::string text;
  for (const auto& one : found) text += one.check + ": " + one.detail + "\n";
  return text;
}

TEST(history_checker, legal_histories_are_green) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const auto found = check(make_history(seed, 400, planted_bug::none));
    EXPECT_TRUE(found.empty()) << "seed " << seed << "\n" << list(found);
  }
}

receive_op got(const std::string& connection, int64_t mid, bool acknowledged) {
  receive_op op;
  op.account = "ann";
  op.terminal = "ann/0";
  op.connection = connection;
  op.sender = "ben";
  op.recipient = "ann";
  op.mid = mid;
  op.body = std::to_string(mid);
  op.acknowledged = acknowledged;
  op.is_offline = connection != "first";
  return op;
}

TEST(history_checker, the_window_that_comes_again_begins_at_the_oldest_unacknowledged_message) {
  history seen;
  seen.receives = {got("first", 1, true), got("first", 2, false), got("first", 3, true), got("second", 2, true),
                   got("second", 3, true)};
  const auto repeats = [&] {
    const auto found = check(seen);
    return std::count_if(found.begin(), found.end(),
                         [](const violation& v) { return v.check == "repeats_stay_in_the_window"; });
  };
  EXPECT_EQ(repeats(), 0);
  seen.receives.push_back(got("second", 1, true));
  EXPECT_EQ(repeats(), 1);
}

class each_check : public testing::TestWithParam<planted> {};

TEST_P(each_check, turns_red_by_its_planted_bug) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto found = check(make_history(seed, 400, GetParam().bug));
    EXPECT_TRUE(
        std::any_of(found.begin(), found.end(), [](const violation& v) { return v.check == GetParam().check; }))
        << "seed " << seed << ", found:\n"
        << list(found);
  }
}

INSTANTIATE_TEST_SUITE_P(history_checker, each_check, testing::ValuesIn(all_planted_bugs()));

}  // namespace
}  // namespace tern::verify

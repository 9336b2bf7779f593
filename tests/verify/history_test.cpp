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

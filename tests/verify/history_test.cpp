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

struct planted {
  planted_bug bug;
  const char* check;
};

class each_check : public testing::TestWithParam<planted> {};

TEST_P(each_check, turns_red_by_its_planted_bug) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto found = check(make_history(seed, 400, GetParam().bug));
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](const violation& v) { return v.check == GetParam().check; }))
        << "seed " << seed << ", found:\n"
        << list(found);
  }
}

INSTANTIATE_TEST_SUITE_P(
    history_checker, each_check,
    testing::Values(planted{planted_bug::lose_stored, "acknowledged_is_stored"},
                    planted{planted_bug::lose_delivery, "acknowledged_is_delivered"},
                    planted{planted_bug::lose_delivery_unknown, "acknowledged_is_delivered"},
                    planted{planted_bug::store_retry_twice, "retry_is_one_message"},
                    planted{planted_bug::store_refused, "refused_is_not_stored"},
                    planted{planted_bug::skip_mid, "mids_are_dense"},
                    planted{planted_bug::readers_differ, "readers_agree"},
                    planted{planted_bug::swap_sender_order, "sender_order_is_kept"},
                    planted{planted_bug::swap_delivery_order, "connection_order_is_kept"},
                    planted{planted_bug::deliver_twice, "no_duplicate_on_a_connection"},
                    planted{planted_bug::repeat_acknowledged, "repeats_stay_in_the_window"},
                    planted{planted_bug::repeat_without_offline, "repeats_stay_in_the_window"},
                    planted{planted_bug::repeat_too_many, "repeats_stay_in_the_window"},
                    planted{planted_bug::wrong_recipient, "nobody_else_gets_it"},
                    planted{planted_bug::forge_sender, "nobody_else_gets_it"},
                    planted{planted_bug::echo_as_delivery, "nobody_else_gets_it"},
                    planted{planted_bug::stale_pull, "receipt_is_readable"},
                    planted{planted_bug::stall, "progress_is_made"}));

}  // namespace
}  // namespace tern::verify

#include "tools/ctl/progress.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace tern::ctl {
namespace {

using namespace std::chrono_literals;

class progress_test : public ::testing::Test {
 protected:
  progress::clock::time_point began{};
  progress bar{"drain session-1", "slots", began};
};

TEST_F(progress_test, has_no_rate_and_no_end_before_anything_has_moved) {
  bar.update(1000, began + 1s);
  EXPECT_EQ(bar.rate(), 0);
  EXPECT_FALSE(bar.remaining());
  EXPECT_EQ(bar.line(), "drain session-1  [....................]    0 %  0 of 1,000 slots  waiting");
}

TEST_F(progress_test, tells_rate_and_remaining_time_from_what_was_done_since_the_beginning) {
  bar.update(1000, began);
  bar.update(500, began + 2s, "2 moves under way");
  EXPECT_DOUBLE_EQ(bar.part(), 0.5);
  EXPECT_DOUBLE_EQ(bar.rate(), 250);
  EXPECT_EQ(*bar.remaining(), 2000ms);
  EXPECT_EQ(
      bar.line(),
      "drain session-1  [##########..........]   50 %  500 of 1,000 slots  250/s  2.0 s left  2 moves under way");
}

TEST_F(progress_test, is_at_100_percent_only_when_nothing_is_left) {
  bar.update(100'000, began);
  bar.update(1, began + 1s);
  EXPECT_NE(bar.line().find("   99 %"), std::string::npos) << bar.line();
  bar.update(0, began + 2s);
  EXPECT_EQ(bar.line(), "drain session-1  [####################]  100 %  100,000 of 100,000 slots  50,000/s");
}

TEST_F(progress_test, nothing_to_do_is_done) {
  bar.update(0, began);
  EXPECT_DOUBLE_EQ(bar.part(), 1);
  EXPECT_EQ(*bar.remaining(), 0ms);
}

TEST_F(progress_test, more_than_at_the_beginning_never_goes_below_nothing) {
  bar.update(10, began);
  bar.update(20, began + 1s);
  EXPECT_DOUBLE_EQ(bar.part(), 0);
  EXPECT_EQ(bar.all(), 20U);
}

std::string shown(bool terminal) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  screen view(out, terminal);
  view.show("a\nb\n");
  view.show("a\nb\n");
  view.show("c\n");
  std::fclose(out);
  const std::string written(text, size);
  std::free(text);
  return written;
}

TEST(screen, redraws_in_place_on_a_terminal) {
  EXPECT_EQ(shown(true), "a\nb\n\x1b[2A\r\x1b[Ja\nb\n\x1b[2A\r\x1b[Jc\n");
}

TEST(screen, appends_elsewhere_and_leaves_repeats_out) { EXPECT_EQ(shown(false), "a\nb\nc\n"); }

}  // namespace
}  // namespace tern::ctl

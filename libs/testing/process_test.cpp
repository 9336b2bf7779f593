#include "libs/testing/process.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>

namespace tern::testing {
namespace {

using namespace std::chrono_literals;

TEST(process, gives_the_output_and_the_exit_code) {
  const auto good = run_program({"sh", "-c", "echo $GREETING"}, {.environment = {"GREETING=hello"}});
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, "hello\n");
  const auto bad = run_program({"sh", "-c", "echo wrong; exit 3"});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().detail.find("ended with 3: wrong"), std::string::npos);
}

TEST(process, that_cannot_be_started_is_an_error) {
  const auto missing = process::start({"/nonexistent/program"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.code(), errc::unavailable);
  EXPECT_FALSE(process::start({"true"}, {.user = "no-such-user-here"}));
}

TEST(process, is_stopped_by_its_destructor) {
  pid_t pid = 0;
  {
    auto child = process::start({"sleep", "1000"});
    ASSERT_TRUE(child);
    pid = child->pid();
    EXPECT_TRUE(child->running());
    EXPECT_FALSE(child->wait(1ms));
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(process, ended_by_a_signal_reports_it) {
  auto child = process::start({"sleep", "1000"});
  ASSERT_TRUE(child);
  EXPECT_EQ(child->stop(10s), 128 + SIGTERM);
}

TEST(process, overrunning_its_limit_is_killed) {
  EXPECT_EQ(run_program({"sleep", "1000"}, {}, 10ms).code(), errc::deadline);
}

}  // namespace
}  // namespace tern::testing

// run_main() as a process of its own: exit codes, messages, signals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "libs/testing/process.hpp"
#include "libs/testing/temp_dir.hpp"

namespace tern::app {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class run_main_test : public ::testing::Test {
 public:
  std::string output() const {
    std::ifstream in(dir.file("output"));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  testing::process start(std::vector<std::string> arguments) {
    const char* bin = std::getenv("TERN_BIN");
    arguments.insert(arguments.begin(), std::string(bin != nullptr ? bin : ".") + "/../tests/tern-probe");
    testing::process_options how;
    how.output = dir.file("output");
    auto child = testing::process::start(arguments, how);
    EXPECT_TRUE(child) << child.error().detail;
    return child ? std::move(*child) : testing::process{};
  }
  /// Runs to the end and gives the exit code.
  int run(std::vector<std::string> arguments) {
    auto child = start(std::move(arguments));
    EXPECT_TRUE(child.wait(30s));
    return child.exit_code();
  }
  bool wait_for(const std::string& text) const {
    for (int i = 0; i < 3000; ++i, std::this_thread::sleep_for(5ms)) {
      if (output().find(text) != std::string::npos) return true;
    }
    return false;
  }

  testing::temp_dir dir;
};

TEST_F(run_main_test, ends_with_0_after_a_signal) {
  auto child = start({});
  ASSERT_TRUE(wait_for("\"started\""));
  EXPECT_EQ(child.stop(20s), 0);
  EXPECT_THAT(output(), HasSubstr("\"draining\""));
  EXPECT_THAT(output(), HasSubstr("\"ended\""));
}

TEST_F(run_main_test, ends_at_once_at_the_second_signal) {
  auto child = start({"--set", "probe.trouble=drain", "--set", "drain.timeout_ms=600000"});
  ASSERT_TRUE(wait_for("\"started\""));
  child.signal(SIGINT);
  ASSERT_TRUE(wait_for("\"draining\""));
  EXPECT_EQ(child.stop(20s), 130);
}

TEST_F(run_main_test, drains_no_longer_than_allowed) {
  auto child = start({"--set", "probe.trouble=drain", "--set", "drain.timeout_ms=50"});
  ASSERT_TRUE(wait_for("\"started\""));
  EXPECT_EQ(child.stop(20s), 0);
}

TEST_F(run_main_test, tells_whether_another_process_is_ready) {
  const std::string where = "metrics.listen_address=127.0.0.1:" + std::to_string(testing::free_port());
  auto child = start({"--set", where});
  ASSERT_TRUE(wait_for("\"started\""));
  EXPECT_EQ(run({"--health", "--set", where}), 0);
  EXPECT_EQ(child.stop(20s), 0);
  EXPECT_EQ(run({"--health", "--set", where}), 1);
  EXPECT_THAT(output(), HasSubstr("nobody listens"));
}

TEST_F(run_main_test, ends_with_1_and_the_reason_when_a_service_cannot_start) {
  EXPECT_EQ(run({"--set=probe.trouble=start"}), 1);
  EXPECT_THAT(output(), HasSubstr("probe: the database is away"));
}

TEST_F(run_main_test, ends_with_1_when_a_service_cannot_go_on) {
  EXPECT_EQ(run({"--set=probe.trouble=fatal"}), 1);
  EXPECT_THAT(output(), HasSubstr("disk gone"));
}

TEST_F(run_main_test, ends_with_2_and_all_errors_for_a_bad_configuration) {
  std::ofstream(dir.file("bad.yaml")) << "probe:\n  truoble: none\nlog.level: loud\n";
  EXPECT_EQ(run({"--config", dir.file("bad.yaml")}), 2);
  EXPECT_THAT(output(), HasSubstr("bad.yaml:2: probe.truoble: unknown option; did you mean probe.trouble?\n"));
  EXPECT_THAT(output(), HasSubstr("bad.yaml:3: log.level: one of"));
}

TEST_F(run_main_test, ends_with_2_for_options_that_do_not_go_together_and_unusable_directories) {
  EXPECT_EQ(run({"--set=probe.trouble=check"}), 2);
  EXPECT_THAT(output(), HasSubstr("does not go with the rest"));
  EXPECT_EQ(run({"--data-dir", "/forbidden"}), 2);
  EXPECT_THAT(output(), HasSubstr("program.directory: forbidden"));
}

TEST_F(run_main_test, ends_with_2_for_a_missing_file_and_an_unknown_flag) {
  EXPECT_EQ(run({"--config", "/nonexistent"}), 2);
  EXPECT_EQ(run({"--configure", "x"}), 2);
  EXPECT_THAT(output(), HasSubstr("cannot read --config /nonexistent"));
  EXPECT_THAT(output(), HasSubstr("unknown argument --configure"));
}

TEST_F(run_main_test, describes_itself_without_starting) {
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_THAT(output(), HasSubstr("--data-dir DIR"));
  EXPECT_THAT(output(), HasSubstr("probe.trouble"));
  EXPECT_EQ(run({"--version"}), 0);
  EXPECT_THAT(output(), HasSubstr("tern-probe 0."));
  EXPECT_EQ(run({"--config-reference=services"}), 0);
  EXPECT_THAT(output(), HasSubstr("| `probe.token_file` |"));
  EXPECT_THAT(output(), Not(HasSubstr("| `log.level` |")));
  EXPECT_EQ(run({"--print-config", "--set=log.level=debug"}), 0);
  EXPECT_THAT(output(), HasSubstr("log.level: \"debug\"\n"));
  EXPECT_THAT(output(), HasSubstr("metrics.listen_address: \"\"\n"));
}

}  // namespace
}  // namespace tern::app

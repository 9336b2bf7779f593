// A short choice of the chaos cases, small: the hard promises hold. `make chaos` runs them all, and measures.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "tests/chaos/report.hpp"
#include "tests/chaos/stage.hpp"

namespace tern::chaos {
namespace {

using namespace std::chrono_literals;

scale small() {
  scale size;
  size.connections = 120;
  size.messages_per_second = 100;
  size.crowd = 300;
  size.reconnects = 200;
  size.moved = 200;
  size.pause = 9s;  // longer than a lease
  size.before = 1500ms;
  size.routings = 2;
  return size;
}

void play(const std::vector<std::string>& names) {
  stage where(small(), [](const std::string& line) { std::cout << line << std::endl; });
  const auto cases = all_cases();
  for (const auto& name : names) {
    const auto one = std::find_if(cases.begin(), cases.end(), [&](const auto& each) { return each.name == name; });
    ASSERT_NE(one, cases.end()) << name;
    const auto result = where.run(*one);
    std::cout << summary(result) << std::flush;
    EXPECT_FALSE(result.failed()) << summary(result);
  }
  for (const auto& name : where.stop()) ADD_FAILURE() << name << " did not stop cleanly";
}

TEST(chaos_test, promises_hold_while_nodes_are_drained_killed_and_stopped) {
  play({"drain session", "drain gateway", "kill session", "kill gateway", "stop session, continue",
        "kill routing leader", "links: cut at any byte"});
}

TEST(chaos_test, promises_hold_while_databases_end_and_are_promoted) {
  play({"PostgreSQL: immediate stop, restart", "PostgreSQL: answers to COMMIT lost",
        "PostgreSQL: standby promoted, old primary back"});
}

}  // namespace
}  // namespace tern::chaos

#include "tools/ctl/arguments.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tools/ctl/command.hpp"

namespace tern::ctl {
namespace {

const std::vector<flag> known{{"--kind", "KIND", ""}, {"--json", "", ""}};
char* no_environment[] = {nullptr};

TEST(arguments, flags_may_stand_anywhere_and_take_values_both_ways) {
  const auto parsed = parse({"ranges", "--kind", "groups", "x", "--json"}, known);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->words, (std::vector<std::string>{"ranges", "x"}));
  EXPECT_EQ(parsed->value("--kind"), "groups");
  EXPECT_TRUE(parsed->has("--json"));
  EXPECT_EQ(parse({"--kind=storage"}, known)->value("--kind"), "storage");
}

TEST(arguments, what_is_wrong_is_told_with_a_hint) {
  EXPECT_EQ(parse({"--knid", "x"}, known).error().detail, "unknown flag --knid; did you mean --kind?");
  EXPECT_EQ(parse({"--frobnicate"}, known).error().detail, "unknown flag --frobnicate; see --help");
  EXPECT_EQ(parse({"--kind"}, known).error().detail, "--kind needs a value: --kind KIND");
  EXPECT_EQ(parse({"--json=yes"}, known).error().detail, "--json takes no value");
}

TEST(arguments, times_have_units) {
  EXPECT_EQ(*parse_milliseconds("500ms"), 500);
  EXPECT_EQ(*parse_milliseconds("2s"), 2000);
  EXPECT_EQ(*parse_milliseconds("1.5"), 1500);
  EXPECT_EQ(*parse_milliseconds("1m"), 60'000);
  for (const char* text : {"", "s", "0", "-1s", "5h", "nan", "inf", "1 s", "999999m"}) {
    EXPECT_FALSE(parse_milliseconds(text)) << text;
  }
}

TEST(settings, the_stronger_source_wins) {
  const auto read = [](const std::vector<std::string>& texts) {
    return read_settings(*parse(texts, common_flags()), no_environment);
  };
  EXPECT_EQ(read({})->routing, std::vector<std::string>{"127.0.0.1:20010"});
  ::setenv("TERN_ROUTING", "unix:/run/r0,unix:/run/r1", 1);
  EXPECT_EQ(read({})->routing, (std::vector<std::string>{"unix:/run/r0", "unix:/run/r1"}));
  EXPECT_EQ(read({"--routing", "h:1,h:2"})->routing, (std::vector<std::string>{"h:1", "h:2"}));
  ::unsetenv("TERN_ROUTING");
  EXPECT_EQ(read({"--timeout", "300ms"})->timeout, std::chrono::milliseconds(300));
}

TEST(settings, nodes_may_have_names) {
  const auto read = [](const std::vector<std::string>& texts) {
    auto flags = common_flags();
    flags.push_back({"--nodes", "LIST", ""});
    flags.push_back({"--metrics-port", "PORT", ""});
    return read_settings(*parse(texts, flags), no_environment);
  };
  ::setenv("TERN_NODES", "h:9", 1);
  EXPECT_EQ(read({})->nodes.at(0).address, "h:9");
  const auto both = read({"--nodes", "session-0=h:1,[::1]:2"});
  ::unsetenv("TERN_NODES");
  ASSERT_TRUE(both) << both.error().detail;
  ASSERT_EQ(both->nodes.size(), 2U);
  EXPECT_EQ(both->nodes[0].name, "session-0");
  EXPECT_EQ(both->nodes[0].address, "h:1");
  EXPECT_EQ(both->nodes[1].name, "");
  EXPECT_EQ(read({"--metrics-port", "9"})->metrics_port, 9);
  EXPECT_NE(read({"--nodes", "h"}).error().detail.find("'h' is not HOST:PORT"), std::string::npos);
  EXPECT_NE(read({"--nodes", "a=unix:/x"}).error().detail.find("HOST:PORT"), std::string::npos);
  EXPECT_NE(read({"--metrics-port", "0"}).error().detail.find("not a port"), std::string::npos);
}

TEST(settings, mistakes_are_one_line) {
  const auto complaint = [](const std::vector<std::string>& texts) {
    const auto read = read_settings(*parse(texts, common_flags()), no_environment);
    return read ? "" : read.error().detail;
  };
  EXPECT_NE(complaint({"--routing", "nowhere"}).find("'nowhere' is not an address"), std::string::npos);
  EXPECT_NE(complaint({"--routing", "h:99999"}).find("not an address"), std::string::npos);
  EXPECT_NE(complaint({"--routing", ""}).find("--routing"), std::string::npos);
  EXPECT_NE(complaint({"--timeout", "soon"}).find("--timeout: 'soon'"), std::string::npos);
  EXPECT_NE(complaint({"--config", "/nowhere.yaml"}).find("cannot read --config"), std::string::npos);
  EXPECT_NE(complaint({"--tls-ca", "/ca.pem"}).find("belong together"), std::string::npos);
}

struct ended {
  int code;
  std::string out, err;
};

ended run_with(const std::vector<std::string>& texts) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code = run(texts, no_environment);
  std::fflush(stdout);
  return {code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
}

TEST(commands, usage_errors_end_with_code_2_and_one_line) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "no command"},
      {{"nods"}, "did you mean 'ternctl nodes'?"},
      {{"cluster", "stats"}, "did you mean 'ternctl cluster status'?"},
      {{"frobnicate"}, "there is no command 'frobnicate'; see ternctl --help"},
      {{"nodes", "x"}, "takes no operands"},
      {{"drain"}, "too few operands; usage: ternctl drain NODE"},
      {{"drain", "a", "b"}, "too many operands"},
      {{"nodes", "--dry-run"}, "unknown flag --dry-run"},
      {{"ranges", "--kind", "session"}, "did you mean sessions?"},
      {{"migrate", "5-1", "session-0"}, "ends before it begins"},
      {{"migrate", "0-5"}, "usage: ternctl migrate FIRST-LAST NODE"},
      {{"migrate", "--kind", "storage", "0-5", "n"}, "only sessions and groups"},
      {{"migrate", "--release", "0-5", "n"}, "--release names no node"},
      {{"nodes", "--timeout", "x"}, "is not a time"},
      {{"nodes", "--config", "/nowhere.yaml"}, "cannot read --config"},
  };
  for (const auto& [texts, expected] : cases) {
    const auto end = run_with(texts);
    EXPECT_EQ(end.code, exit_usage) << expected;
    EXPECT_NE(end.err.find(expected), std::string::npos) << end.err;
    EXPECT_TRUE(end.err.starts_with("ternctl: ")) << end.err;
    EXPECT_EQ(std::count(end.err.begin(), end.err.end(), '\n'), 1) << end.err;
    EXPECT_EQ(end.out, "");
  }
}

TEST(commands, routing_that_is_not_there_is_code_3) {
  const auto end = run_with({"nodes", "--routing", "unix:/nowhere/routing.sock", "--timeout", "300ms"});
  EXPECT_EQ(end.code, exit_unreachable);
  EXPECT_NE(end.err.find("routing cannot be reached at unix:/nowhere/routing.sock"), std::string::npos) << end.err;
}

TEST(commands, each_has_a_help_with_its_usage_and_flags) {
  for (const auto& each : all_commands()) {
    std::vector<std::string> texts{"--help"};
    std::string word;
    for (const char c : each.words + " ") {
      if (c == ' ')
        texts.push_back(std::exchange(word, {}));
      else
        word += c;
    }
    const auto end = run_with(texts);
    EXPECT_EQ(end.code, exit_done);
    EXPECT_NE(end.out.find("Usage: ternctl " + each.words), std::string::npos) << end.out;
    for (const auto& one : each.flags) EXPECT_NE(end.out.find(one.name), std::string::npos) << end.out;
    EXPECT_EQ(end.err, "");
  }
  const auto all = run_with({"--help"});
  for (const auto& each : all_commands()) EXPECT_NE(all.out.find("  " + each.words), std::string::npos);
  EXPECT_TRUE(run_with({"--version"}).out.starts_with("ternctl "));
}

}  // namespace
}  // namespace tern::ctl

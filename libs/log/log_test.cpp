#include "libs/log/log.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "libs/log/line.hpp"

namespace tern::log {
namespace {

constexpr int64_t moment = 1'767'225'600'123'456'789;  // 2026-01-01 00:00:00.123456789 UTC

line sample() {
  line what;
  what.wall_ns = moment;
  what.at = level::warn;
  what.service = "gateway";
  what.node = "gateway-0";
  what.message = "hello";
  return what;
}

TEST(log_line, is_one_json_object_with_the_agreed_members) {
  const auto text = format_json(sample(), {{"n", -3}, {"u", 7U}, {"r", 0.5}, {"b", true}, {"s", "x"}});
  EXPECT_EQ(text, R"({"ts":"2026-01-01T00:00:00.123456Z","level":"warn","service":"gateway","node":"gateway-0",)"
                  R"("msg":"hello","n":-3,"u":7,"r":0.5,"b":true,"s":"x"})");
  EXPECT_TRUE(nlohmann::json::accept(text));
}

TEST(log_line, escapes_hostile_strings_and_replaces_what_is_not_utf8) {
  const std::string hostile = std::string("a\"b\\c\n\x01") + "\xff\xc3" + "\xe2\x82\xac";
  const auto parsed = nlohmann::json::parse(format_json(sample(), {{"k\"", hostile}}));
  EXPECT_EQ(parsed["k\""], "a\"b\\c\n\x01\xEF\xBF\xBD\xEF\xBF\xBD\xe2\x82\xac");
}

TEST(log_line, of_endless_strings_stays_valid_and_within_the_limit) {
  for (const char filler : {'x', '\n', '\xff'}) {
    const std::string endless(100'000, filler);
    auto what = sample();
    what.message = endless;
    const auto text = format_json(what, {{"a", endless}, {"b", endless}, {endless, 3}});
    EXPECT_LE(text.size(), line_limit);
    EXPECT_TRUE(nlohmann::json::accept(text));
  }
}

TEST(log_line, has_each_key_once_whatever_a_caller_names_its_fields) {
  for (const char* key : {"ts", "level", "service", "node", "msg", "trace", "stage"}) {
    auto what = sample();
    what.trace_id = 7;
    what.stage = "commit";
    const auto text = format_json(what, {{key, "other"}});
    std::vector<std::string> keys;
    const auto note = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
      if (event == nlohmann::json::parse_event_t::key) keys.push_back(parsed.get<std::string>());
      return true;
    };
    const auto parsed = nlohmann::json::parse(text, note);
    EXPECT_EQ(keys.size(), parsed.size()) << text;
    EXPECT_EQ(parsed[std::string(key) + "_"], "other") << text;
    EXPECT_EQ(parsed["node"], "gateway-0");
  }
}

TEST(log_line, shows_numbers_json_cannot_as_null) {
  const auto parsed = nlohmann::json::parse(format_json(sample(), {{"r", std::nan("")}}));
  EXPECT_TRUE(parsed["r"].is_null());
}

TEST(log_line, as_text_is_readable_and_cannot_be_broken_in_two) {
  EXPECT_EQ(format_text(sample(), {{"n", 3}, {"s", "two\nlines"}, {"t", "one"}}),
            "2026-01-01T00:00:00.123456Z WARN gateway hello n=3 s=\"two\\nlines\" t=one");
}

TEST(log_output, keeps_every_line_of_several_threads_and_obeys_the_level) {
  ::testing::internal::CaptureStderr();
  init({level::info, true, "node-1"});
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; ++t) {
    writers.emplace_back([t] {
      const logger out{"test"};
      for (int i = 0; i < 100; ++i) out.info("line", {{"thread", t}, {"i", i}});
      out.debug("unseen");
    });
  }
  for (auto& writer : writers) writer.join();
  trace(0x1234, "test", "commit", {{"mid", 7}});
  trace(0, "test", "never");
  shutdown();
  const std::string text = ::testing::internal::GetCapturedStderr();
  size_t lines = 0;
  std::string last;
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1, ++lines) {
    last = text.substr(at, end - at);
    EXPECT_EQ(nlohmann::json::parse(last)["node"], "node-1");
  }
  EXPECT_EQ(lines, 401U);
  EXPECT_EQ(nlohmann::json::parse(last)["trace"], "0000000000001234");
  EXPECT_EQ(dropped(), 0U);
}

TEST(log_output, keeps_the_newest_lines_within_bounds) {
  ::testing::internal::CaptureStderr();
  init({level::info, true, "node-1"});
  const logger out{"test"};
  for (int i = 0; i < 3000; ++i) out.info("line", {{"i", i}});
  auto lines = recent();
  ASSERT_EQ(lines.size(), 2000U);
  EXPECT_EQ(nlohmann::json::parse(lines.back())["i"], 2999);
  EXPECT_EQ(nlohmann::json::parse(lines.front())["i"], 1000);
  const std::string much(4000, 'x');
  for (int i = 0; i < 1000; ++i) out.info(much);
  lines = recent();
  size_t bytes = 0;
  for (const auto& line : lines) bytes += line.size();
  EXPECT_LE(bytes, 512U << 10U);
  EXPECT_GT(bytes, 500U << 10U);
  shutdown();
  ::testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace tern::log

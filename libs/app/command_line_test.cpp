#include "libs/app/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/app/common_options.hpp"
#include "libs/app/http.hpp"
#include "libs/config/schema.hpp"

namespace tern::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

program sample() {
  program out;
  out.name = "tern-x";
  out.summary = "an example";
  out.flags.push_back({"listen", "ADDR:PORT", "gateway.listen_address", "where clients connect"});
  return out;
}

TEST(command_line, takes_flags_in_both_spellings) {
  const auto line =
      parse_command_line({"--config", "a", "--config=b", "--set", "x=1", "--listen", ":1", "--set=y=a=b"}, sample());
  ASSERT_TRUE(line);
  EXPECT_EQ(line->what, action::run);
  EXPECT_THAT(line->files, ElementsAre("a", "b"));
  EXPECT_THAT(line->assignments, ElementsAre("x=1", "gateway.listen_address=:1", "y=a=b"));
}

TEST(command_line, knows_what_is_asked_for) {
  EXPECT_EQ(parse_command_line({"--help"}, sample())->what, action::help);
  EXPECT_EQ(parse_command_line({"-h"}, sample())->what, action::help);
  EXPECT_EQ(parse_command_line({"--version"}, sample())->what, action::version);
  EXPECT_EQ(parse_command_line({"--print-config"}, sample())->what, action::print_config);
  EXPECT_EQ(parse_command_line({"--config-reference=common"}, sample())->reference_part, "common");
}

TEST(command_line, refuses_what_it_does_not_know) {
  for (const char* wrong : {"--hlep", "file.yaml", "-x", "--help=yes", "--listen-address=x", "--", ""}) {
    const auto line = parse_command_line({wrong}, sample());
    ASSERT_FALSE(line) << wrong;
    EXPECT_THAT(line.error().detail, HasSubstr("unknown argument"));
  }
  EXPECT_EQ(parse_command_line({"--config"}, sample()).error().detail, "--config needs a value");
}

TEST(help, lists_flags_and_every_option_with_its_default) {
  config::schema all;
  common_options common;
  declare(all, common, links::grpc);
  const auto text = help_text(sample(), all);
  EXPECT_THAT(text, HasSubstr("--listen ADDR:PORT"));
  for (const auto& it : all.describe()) EXPECT_THAT(text, HasSubstr("  " + it.key + " "));
  EXPECT_THAT(text, HasSubstr("integer 0…3600000 [20000]"));
}

TEST(address, is_host_and_port) {
  EXPECT_EQ(split_address("127.0.0.1:80")->second, 80);
  EXPECT_EQ(split_address("[::1]:80")->first, "::1");
  for (const char* wrong : {"", ":", ":80", "host", "host:", "host:x", "host:70000", "::1:80", "[]:1", "host:80 "}) {
    EXPECT_FALSE(split_address(wrong)) << wrong;
  }
}

TEST(tls_files, belong_together) {
  common_options common;
  common.tls_key_file = "x";
  EXPECT_EQ(complaints(common, links::grpc).size(), 1U);
  EXPECT_TRUE(complaints(common, links::local).empty());
}

}  // namespace
}  // namespace tern::app

#include "libs/config/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "libs/config/option.hpp"

namespace tern::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// One option of each type.
struct sample {
  bool flag = false;
  int64_t signed_number = -5;
  uint64_t port = 8080;
  double ratio = 0.5;
  std::string address = "127.0.0.1:8080";
  std::vector<std::string> shards{"s0=sqlite:x"};
  std::string level = "info";
  std::chrono::milliseconds timeout{2000};
  std::string key;

  void declare(schema& into, bool key_required = false) {
    into.add("gateway.compress.enabled", flag, "compress frames");
    into.add("gateway.bias.rows", signed_number, "any number", {-10, 10});
    into.add("gateway.listen.port", port, "TCP port", {1, 65535});
    into.add("gateway.sample.ratio", ratio, "share of traced frames", 0, 1);
    into.add("gateway.listen.address", address, "where clients connect",
             [](const std::string& text) { return text.find(':') == std::string::npos ? "no port given" : ""; });
    into.add("storage.shards", shards, "name=dsn of each shard | database");
    into.add_choice("log.level", level, {"debug", "info"}, "least level");
    into.add("gateway.write.timeout_ms", timeout, "longest write", {1, 60000});
    into.add_secret("identity.key", key, "cluster secret", key_required);
  }
};

TEST(schema, keeps_the_defaults_when_nothing_is_given) {
  sample values;
  schema all;
  values.declare(all);
  EXPECT_THAT(all.errors(), IsEmpty());
  EXPECT_EQ(values.port, 8080U);
  EXPECT_EQ(values.timeout.count(), 2000);
}

TEST(schema, fills_several_targets_of_one_key_and_refuses_contradictions) {
  schema all;
  std::string first = "a";
  std::string second = "a";
  std::string third = "b";
  bool other_type = false;
  all.add("node.name", first, "name");
  all.add("node.name", second, "name");
  EXPECT_THROW(all.add("node.name", third, "name"), std::logic_error);
  EXPECT_THROW(all.add("node.name", other_type, "name"), std::logic_error);
  all.read_assignment("node.name=x");
  EXPECT_EQ(first, "x");
  EXPECT_EQ(second, "x");
}

TEST(schema, refuses_two_keys_with_one_environment_name) {
  schema all;
  bool one = false;
  bool two = false;
  all.add("a.b_c", one, "");
  EXPECT_THROW(all.add("a.b.c", two, ""), std::logic_error);
}

TEST(schema, takes_program_defaults_below_every_other_source) {
  sample values;
  schema all;
  values.declare(all);
  all.read_yaml("gateway.listen.port: 9000", "f");
  all.set_default("gateway.listen.port", "7000");
  all.set_default("log.level", "debug");
  EXPECT_EQ(values.port, 9000U);
  EXPECT_EQ(values.level, "debug");
  EXPECT_EQ(all.value_of("log.level"), "debug");
  EXPECT_EQ(all.value_of("gateway.listen.port"), "9000");
  EXPECT_FALSE(all.value_of("identity.key"));
  EXPECT_THROW(all.set_default("gateway.listen.prot", "1"), std::logic_error);
  EXPECT_THAT(all.errors(), IsEmpty());
  all.set_default("gateway.listen.port", "0");
  EXPECT_THAT(all.errors(), ElementsAre("default: gateway.listen.port: 0 is not within 1…65535"));
}

TEST(schema, writes_a_reference_with_each_key_and_no_secret) {
  sample values;
  values.key = "hidden";
  schema all;
  values.declare(all);
  const auto text = all.reference();
  EXPECT_THAT(text, HasSubstr("## gateway\n\n| key | type | default | meaning |\n"));
  EXPECT_THAT(text, HasSubstr("| `gateway.listen.port` | integer 1…65535 | `8080` | TCP port |\n"));
  EXPECT_THAT(text, HasSubstr("| `gateway.write.timeout_ms` | integer 1…60000 | `2000` | longest write |\n"));
  EXPECT_THAT(
      text,
      HasSubstr("| `storage.shards` | list of texts | `[\"s0=sqlite:x\"]` | name=dsn of each shard \\| database |"));
  EXPECT_THAT(text, HasSubstr("| `identity.key_file` | file with a secret |  | cluster secret |\n"));
  EXPECT_EQ(text.find("hidden"), std::string::npos);
}

TEST(schema, dumps_what_it_can_read_back_without_secrets_and_passwords) {
  sample values;
  schema all;
  values.declare(all);
  all.read_assignment("storage.shards=a=host=x password=pass1,b=postgresql://u:pass2@h/db");
  values.key = "hidden";
  const auto text = all.dump();
  EXPECT_EQ(text.find("hidden"), std::string::npos);
  EXPECT_EQ(text.find("pass1"), std::string::npos);
  EXPECT_EQ(text.find("pass2"), std::string::npos);
  sample again;
  schema second;
  again.declare(second);
  second.read_yaml(text, "dump");
  EXPECT_THAT(second.errors(), IsEmpty());
  EXPECT_EQ(again.port, values.port);
  EXPECT_THAT(again.shards, ElementsAre("a=host=x password=***", "b=postgresql://u:***@h/db"));
}

TEST(text, finds_the_nearest_key_if_it_is_near) {
  EXPECT_EQ(nearest("gateway.listen.adress", {"gateway.listen.address", "gateway.ack.timeout_ms"}),
            "gateway.listen.address");
  EXPECT_EQ(nearest("zzz", {"gateway.listen.address"}), "");
  EXPECT_EQ(nearest(std::string(100'000, 'x'), {"gateway.listen.address"}), "");
}

TEST(text, splits_lists_at_commas_unless_escaped) {
  EXPECT_THAT(split_list(""), IsEmpty());
  EXPECT_THAT(split_list("a"), ElementsAre("a"));
  EXPECT_THAT(split_list("a,b\\,c,"), ElementsAre("a", "b,c", ""));
}

}  // namespace
}  // namespace tern::config

// What operators get wrong, and what they are told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "libs/config/schema.hpp"
#include "libs/testing/temp_dir.hpp"

namespace tern::config {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class sources : public ::testing::Test {
 public:
  sources() {
    all.add("gateway.listen.port", port, "TCP port", {1, 65535});
    all.add("gateway.listen.address", address, "where");
    all.add("gateway.write.timeout_ms", timeout, "longest write");
    all.add("gateway.sample.ratio", ratio, "share", 0, 1);
    all.add("gateway.compress.enabled", flag, "compress");
    all.add("storage.shards", shards, "databases");
    all.add_choice("log.level", level, {"debug", "info"}, "least level");
    all.add_secret("identity.key", key, "cluster secret", false);
  }

  std::string secret_file(const std::string& content, mode_t mode) {
    const auto path = dir.file("secret");
    std::ofstream(path) << content;
    ::chmod(path.c_str(), mode);
    return path;
  }
  /// The one error of a file with this content.
  std::string error_of(const std::string& yaml) {
    all.read_yaml(yaml, "tern.yaml");
    const auto found = all.errors();
    EXPECT_THAT(found, SizeIs(1));
    return found.empty() ? "" : found.front();
  }

  testing::temp_dir dir;
  uint64_t port = 1;
  std::string address = "old";
  std::chrono::milliseconds timeout{1};
  double ratio = 0;
  bool flag = false;
  std::vector<std::string> shards;
  std::string level = "info";
  std::string key;
  schema all;
};

TEST_F(sources, fill_every_type_from_nested_or_dotted_yaml) {
  all.read_yaml(
      "gateway:\n  listen: {port: 7, address: 'x:1'}\n  write.timeout_ms: 30\n  sample.ratio: 0.25\n"
      "  compress:\n    enabled: true\nlog.level: debug\nstorage.shards: [a=b, c=d]\n",
      "f");
  EXPECT_THAT(all.errors(), IsEmpty());
  EXPECT_EQ(port, 7U);
  EXPECT_EQ(address, "x:1");
  EXPECT_EQ(timeout.count(), 30);
  EXPECT_EQ(ratio, 0.25);
  EXPECT_TRUE(flag);
  EXPECT_EQ(level, "debug");
  EXPECT_THAT(shards, ElementsAre("a=b", "c=d"));
}

TEST_F(sources, of_higher_rank_win_in_any_order) {
  char variable[] = "TERN_GATEWAY_LISTEN_PORT=8";
  char* environment[] = {variable, nullptr};
  all.read_assignment("gateway.listen.address=flag");
  all.read_environment(environment);
  all.read_yaml("gateway: {listen: {port: 7, address: file}}", "f");
  EXPECT_THAT(all.errors(), IsEmpty());
  EXPECT_EQ(port, 8U);
  EXPECT_EQ(address, "flag");
}

TEST_F(sources, with_nothing_in_them_are_fine) {
  for (const char* text : {"", "\n# only a comment\n", "gateway:\n"}) all.read_yaml(text, "f");
  EXPECT_THAT(all.errors(), IsEmpty());
}

TEST_F(sources, report_all_errors_at_once_with_key_and_line) {
  all.read_yaml("gateway:\n  listen:\n    port: 70000\n    adress: x\nlog.level: loud\ngateway.sample.ratio: 2\n",
                "tern.yaml");
  all.read_assignment("gateway.compress.enabled=perhaps");
  EXPECT_THAT(all.errors(),
              ElementsAre("tern.yaml:3: gateway.listen.port: 70000 is not within 1…65535",
                          "tern.yaml:4: gateway.listen.adress: unknown option; did you mean gateway.listen.address?",
                          "tern.yaml:5: log.level: one of debug, info expected, not \"loud\"",
                          "tern.yaml:6: gateway.sample.ratio: 2 is not within 0…1",
                          "--set: gateway.compress.enabled: true or false expected, not \"perhaps\""));
}

TEST_F(sources, refuse_port_zero) { EXPECT_THAT(error_of("gateway.listen.port: 0"), HasSubstr("0 is not within")); }
TEST_F(sources, refuse_a_negative_timeout) {
  EXPECT_THAT(error_of("gateway.write.timeout_ms: -1"), HasSubstr("-1 is less than 0"));
}
TEST_F(sources, refuse_numbers_with_rubbish) {
  EXPECT_THAT(error_of("gateway.listen.port: 80x"), HasSubstr("an integer expected"));
}
TEST_F(sources, refuse_numbers_too_large) {
  EXPECT_THAT(error_of("gateway.write.timeout_ms: 99999999999999999999"), HasSubstr("an integer expected"));
}
TEST_F(sources, refuse_nan) { EXPECT_THAT(error_of("gateway.sample.ratio: nan"), HasSubstr("a number expected")); }
TEST_F(sources, refuse_a_list_for_one_value) {
  EXPECT_THAT(error_of("gateway.listen.port: [1]"), HasSubstr("not a list"));
}
TEST_F(sources, refuse_one_value_for_a_list) {
  EXPECT_THAT(error_of("storage.shards: a=b"), HasSubstr("a list expected"));
}
TEST_F(sources, refuse_a_value_for_a_section) {
  EXPECT_THAT(error_of("gateway: 3"), HasSubstr("a section expected"));
}
TEST_F(sources, refuse_a_section_for_a_value) {
  EXPECT_THAT(error_of("gateway.listen.port: {a: 1}"), HasSubstr("not a section"));
}
TEST_F(sources, refuse_a_key_without_value) {
  EXPECT_THAT(error_of("gateway.listen.address:"), HasSubstr("has no value"));
}
TEST_F(sources, refuse_what_is_not_a_map) {
  EXPECT_THAT(error_of("- a\n- b\n"), HasSubstr("a map of options expected"));
}
TEST_F(sources, refuse_broken_yaml_with_its_line) {
  EXPECT_THAT(error_of("a: 1\nb: [1, 2\n"), AllOf(HasSubstr("tern.yaml:"), HasSubstr("not valid YAML")));
}
TEST_F(sources, refuse_a_duplicate_key_however_spelt) {
  EXPECT_THAT(error_of("gateway:\n  listen.port: 3\ngateway.listen.port: 4\n"),
              AllOf(HasSubstr("tern.yaml:3"), HasSubstr("given twice, first at tern.yaml:2")));
}
TEST_F(sources, refuse_a_duplicate_key_in_one_map) {
  EXPECT_THAT(error_of("log.level: info\nlog.level: debug\n"), HasSubstr("given twice"));
}
TEST_F(sources, do_not_enter_unknown_sections) {
  EXPECT_EQ(error_of("zzzzzz:\n  a: 1\n  b: 2\n"), "tern.yaml:1: zzzzzz: unknown option");
}
TEST_F(sources, refuse_an_assignment_without_a_key) {
  all.read_assignment("nonsense");
  all.read_assignment("=x");
  EXPECT_THAT(all.errors(), SizeIs(2));
}

TEST_F(sources, only_warn_of_unknown_variables) {
  char typo[] = "TERN_LOG_LEVLE=x";
  char other[] = "PATH=/bin";
  char list[] = "TERN_STORAGE_SHARDS=a,b";
  char* environment[] = {typo, other, list, nullptr};
  all.read_environment(environment);
  EXPECT_THAT(all.errors(), IsEmpty());
  EXPECT_THAT(all.warnings(),
              ElementsAre("environment TERN_LOG_LEVLE names no option; did you mean TERN_LOG_LEVEL?"));
  EXPECT_THAT(shards, ElementsAre("a", "b"));
}

TEST_F(sources, take_secrets_from_strict_files) {
  all.read_yaml("identity.key_file: " + secret_file("s3cret\n", 0600), "f");
  EXPECT_THAT(all.errors(), IsEmpty());
  EXPECT_EQ(key, "s3cret");
}

TEST_F(sources, take_secrets_from_the_environment) {
  char variable[] = "TERN_IDENTITY_KEY=abc";
  char* environment[] = {variable, nullptr};
  all.read_environment(environment);
  EXPECT_EQ(key, "abc");
}

TEST_F(sources, refuse_secrets_others_can_read) {
  EXPECT_THAT(error_of("identity.key_file: " + secret_file("s3cret", 0644)),
              AllOf(HasSubstr("identity.key_file"), HasSubstr("mode 0644")));
  EXPECT_EQ(key, "");
}
TEST_F(sources, refuse_empty_secrets) {
  EXPECT_THAT(error_of("identity.key_file: " + secret_file("\n", 0600)), HasSubstr("empty"));
}
TEST_F(sources, refuse_missing_secret_files) {
  EXPECT_THAT(error_of("identity.key_file: /nonexistent"), HasSubstr("No such file"));
}
TEST_F(sources, refuse_a_directory_as_secret) {
  EXPECT_THAT(error_of("identity.key_file: " + dir.path().string()), HasSubstr("not a regular file"));
}
TEST_F(sources, refuse_secrets_in_the_file_itself) {
  const auto text = error_of("identity.key: s3cret");
  EXPECT_THAT(text, HasSubstr("identity.key_file"));
  EXPECT_EQ(text.find("s3cret"), std::string::npos);
}
TEST_F(sources, refuse_secrets_on_the_command_line) {
  all.read_assignment("identity.key=s3cret");
  EXPECT_THAT(all.errors(), ElementsAre(HasSubstr("never taken from a flag")));
}

TEST(required_secret, must_be_given) {
  schema refused;
  schema all;
  std::string key;
  refused.add_secret("identity.key", key, "cluster secret", true);
  refused.read_yaml("identity.key_file: /nonexistent", "f");
  EXPECT_THAT(refused.errors(), SizeIs(1));
  all.add_secret("identity.key", key, "cluster secret", true);
  EXPECT_THAT(all.errors(),
              ElementsAre("identity.key: required: name its file by identity.key_file, or set TERN_IDENTITY_KEY"));
}

TEST(secret, is_given_to_those_who_use_it_and_never_shown) {
  schema all;
  std::string key;
  int64_t plain = 3;
  all.add_secret("identity.key", key, "cluster secret", false);
  all.add("a.b", plain, "a number");
  EXPECT_EQ(all.secret_of("identity.key"), std::nullopt);
  std::string variable = "TERN_IDENTITY_KEY=s3cret";
  char* environment[] = {variable.data(), nullptr};
  all.read_environment(environment);
  EXPECT_EQ(all.secret_of("identity.key"), "s3cret");
  EXPECT_EQ(all.value_of("identity.key"), std::nullopt);
  EXPECT_EQ(all.secret_of("a.b"), std::nullopt);
  EXPECT_EQ(all.dump().find("s3cret"), std::string::npos);
}

}  // namespace
}  // namespace tern::config

#include "libs/app/host.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "libs/app/health.hpp"
#include "libs/app/http_get.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/testing/process.hpp"

namespace tern::app {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Notes what happens to it.
class noting_service final : public service {
 public:
  noting_service(std::string name, std::vector<std::string>& notes, bool fails)
      : name_(std::move(name)), notes_(notes), fails_(fails) {}
  std::string name() const override { return name_; }
  result<void> start() override {
    notes_.push_back("start " + name_);
    return fails_ ? result<void>{error{errc::unavailable, "no luck"}} : result<void>{};
  }
  void drain(std::chrono::milliseconds) override { notes_.push_back("drain " + name_); }
  void stop() override { notes_.push_back("stop " + name_); }

 private:
  std::string name_;
  std::vector<std::string>& notes_;
  bool fails_;
};

service_entry entry(const std::string& name, std::vector<std::string>& notes, bool fails = false) {
  return {name, {}, {}, [=, &notes](context&) { return std::make_unique<noting_service>(name, notes, fails); }};
}

/// One request on one connection: everything the server sends until it closes.
std::string get(uint16_t port, const std::string& path, const std::string& method = "GET") {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return "no connection";
  const std::string head = method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(::write(fd, head.data(), head.size()), static_cast<ssize_t>(head.size()));
  std::string out;
  char buffer[4096];
  for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0;) out.append(buffer, static_cast<size_t>(got));
  ::close(fd);
  return out;
}

TEST(host, starts_in_order_and_drains_and_stops_in_reverse) {
  std::vector<std::string> notes;
  auto made = host::make({});
  ASSERT_TRUE(made);
  auto& it = **made;
  ASSERT_TRUE(it.start({entry("a", notes), entry("b", notes)}));
  EXPECT_EQ(it.context_of("b").node, "b-0");
  EXPECT_EQ(it.context_of("b").address, "local:b-0");
  EXPECT_EQ(it.context_of("b").routing_address, "local:routing-0");
  EXPECT_TRUE(it.health().ready().good);
  it.drain(std::chrono::seconds(1));
  EXPECT_FALSE(it.health().ready().good);
  it.stop();
  EXPECT_THAT(notes, ElementsAre("start a", "start b", "drain b", "drain a", "stop b", "stop a"));
}

TEST(host, stops_what_runs_when_a_start_fails) {
  std::vector<std::string> notes;
  auto made = host::make({});
  ASSERT_TRUE(made);
  const auto up = (*made)->start({entry("a", notes), entry("b", notes, true), entry("c", notes)});
  ASSERT_FALSE(up);
  EXPECT_EQ(up.error().detail, "b: no luck");
  EXPECT_THAT(notes, ElementsAre("start a", "start b", "stop b", "stop a"));
}

TEST(host, tells_peers_the_port_that_was_bound) {
  std::vector<std::string> notes;  // services write to it until the host is gone
  host_options how;
  how.how = links::grpc;
  how.node = "x-7";
  how.listen_address = "127.0.0.1:0";
  how.routing_address = "127.0.0.1:1";
  auto made = host::make(how);
  ASSERT_TRUE(made) << made.error().detail;
  EXPECT_THAT((*made)->address(), AllOf(HasSubstr("127.0.0.1:"), ::testing::Not(::testing::EndsWith(":0"))));
  ASSERT_TRUE((*made)->start({entry("a", notes)}));
  EXPECT_EQ((*made)->context_of("a").node, "x-7");
  EXPECT_EQ((*made)->context_of("a").routing_address, "127.0.0.1:1");
}

TEST(host, shows_metrics_and_health_on_its_own_port) {
  std::vector<std::string> notes;
  host_options how;
  how.metrics_address = "127.0.0.1:0";
  auto made = host::make(how);
  ASSERT_TRUE(made) << made.error().detail;
  auto& it = **made;
  const auto port = it.metrics_port();
  EXPECT_THAT(get(port, "/startupz"), HasSubstr(" 503 "));
  ASSERT_TRUE(it.start({entry("a", notes)}));
  EXPECT_THAT(get(port, "/startupz"), HasSubstr(" 200 "));
  EXPECT_THAT(get(port, "/livez"), HasSubstr("alive"));
  EXPECT_THAT(get(port, "/readyz"), HasSubstr("ready"));
  it.health().set_ready("database", false, "away");
  EXPECT_THAT(get(port, "/readyz"), AllOf(HasSubstr(" 503 "), HasSubstr("database: away")));
  EXPECT_THAT(get(port, "/metrics"), AllOf(HasSubstr("tern_build_info{"), HasSubstr("process_resident_memory_bytes "),
                                           HasSubstr("process_cpu_seconds_total "), HasSubstr("process_open_fds "),
                                           HasSubstr("process_start_time_seconds 1"), HasSubstr("version=0.0.4")));
  EXPECT_THAT(get(port, "/metrics", "POST"), HasSubstr(" 405 "));
  EXPECT_THAT(get(port, "/secret"), HasSubstr(" 404 "));
}

TEST(host, tells_what_it_is_and_what_it_depends_on) {
  std::vector<std::string> notes;
  host_options how;
  how.node = "a-7";
  how.metrics_address = "127.0.0.1:0";
  how.report.configuration = [] { return std::string("log.level: \"info\"\n"); };
  how.report.fingerprints["identity.key"] = fingerprint("s3cret");
  auto made = host::make(how);
  ASSERT_TRUE(made) << made.error().detail;
  auto& it = **made;
  ASSERT_TRUE(it.start({entry("a", notes)}));
  it.health().add_dependency({"shard main", "shard", "sqlite /x", [] {
                                return dependency_state{false, "no \"file\"", 7, "/"};
                              }});
  it.health().set_ready("a.map", false, "no map yet");
  const auto port = it.metrics_port();
  const auto answer = get(port, "/statusz");
  const auto report = nlohmann::json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
  EXPECT_EQ(report["node"], "a-7");
  EXPECT_EQ(report["services"], nlohmann::json::parse(R"(["a"])"));
  EXPECT_EQ(report["ready"]["ok"], false);
  EXPECT_EQ(report["ready"]["conditions"][0]["why"], "no map yet");
  EXPECT_EQ(report["dependencies"][0]["text"], "no \"file\"");
  EXPECT_EQ(report["dependencies"][0]["schema"], 7);
  EXPECT_EQ(report["disks"][0]["path"], "/");
  EXPECT_GT(report["disks"][0]["size_bytes"], 0);
  EXPECT_EQ(report["fingerprints"]["identity.key"], fingerprint("s3cret"));
  EXPECT_EQ(answer.find("s3cret"), std::string::npos);
  EXPECT_THAT(get(port, "/configz"), HasSubstr("log.level: \"info\""));
  EXPECT_THAT(get(port, "/logz"), HasSubstr("service started"));
  EXPECT_EQ(http_get("127.0.0.1:" + std::to_string(port), "/readyz", std::chrono::seconds(5)).answer.status, 503);
}

TEST(host, keeps_its_details_to_itself_when_told_so) {
  host_options how;
  how.metrics_address = "127.0.0.1:0";
  how.details = false;
  how.report.configuration = [] { return std::string("log.level: \"info\"\n"); };
  auto made = host::make(how);
  ASSERT_TRUE(made) << made.error().detail;
  for (const char* page : {"/statusz", "/configz", "/logz"}) {
    EXPECT_THAT(get((*made)->metrics_port(), page), HasSubstr(" 404 ")) << page;
  }
}

TEST(fingerprint, is_short_and_equal_for_equal_secrets) {
  EXPECT_EQ(fingerprint("a"), fingerprint("a"));
  EXPECT_NE(fingerprint("a"), fingerprint("b"));
  EXPECT_EQ(fingerprint("a").size(), 8U);
}

TEST(http_get, tells_refused_from_silent_and_unknown) {
  using namespace std::chrono_literals;
  const auto port = testing::free_port();
  EXPECT_EQ(http_get("127.0.0.1:" + std::to_string(port), "/", 2s).how, reach::refused);
  EXPECT_EQ(http_get("no-such-host.invalid:80", "/", 5s).how, reach::no_such_host);
  EXPECT_EQ(try_connect("unix:/nowhere", 1s).how, reach::refused);
  const int listening = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&where), sizeof where), 0);
  ASSERT_EQ(::listen(listening, 1), 0);  // and nobody accepts
  EXPECT_EQ(try_connect("127.0.0.1:" + std::to_string(port), 2s).how, reach::answered);
  EXPECT_EQ(http_get("127.0.0.1:" + std::to_string(port), "/", 100ms).how, reach::silent);
  ::close(listening);
}

TEST(host, says_which_address_it_cannot_have) {
  host_options how;
  how.metrics_address = "192.0.2.1:1";
  const auto made = host::make(how);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().detail, HasSubstr("metrics.listen_address"));
}

}  // namespace
}  // namespace tern::app

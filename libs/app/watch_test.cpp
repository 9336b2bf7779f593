#include "libs/app/watch.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "libs/app/health.hpp"
#include "libs/metrics/metrics.hpp"
#include "libs/testing/process.hpp"
#include "libs/testing/temp_dir.hpp"

namespace tern::app {
namespace {

using namespace std::chrono_literals;

TEST(watch_test, shows_what_answers_and_what_does_not_and_notices_when_that_changes) {
  metrics::registry metrics;
  health_state health;
  std::atomic<bool> well{false};
  std::promise<void> again;
  int tries = 0;
  health.add_dependency({"redis", "redis", "here", [&]() -> dependency_state {
                           if (well && ++tries == 2) again.set_value();  // the first of these has been shown by then
                           return {well, well ? "" : "refused", -1, {}};
                         }});
  health.add_dependency({"shard a", "shard", "there", []() -> dependency_state { return {true, {}, 7, "/"}; }});
  std::promise<void> tried;
  bool told = false;
  health.add_dependency({"last", "meta", "there", [&]() -> dependency_state {
                           if (!told) tried.set_value();
                           told = true;
                           throw std::runtime_error("out of order");
                         }});
  watch looks(metrics, health, {}, 1ms);
  tried.get_future().wait();
  auto text = metrics.render();
  EXPECT_NE(text.find(R"(tern_dependency_up{dependency="redis",kind="redis"} 0)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"(tern_dependency_up{dependency="shard a",kind="shard"} 1)"), std::string::npos);
  EXPECT_NE(text.find(R"(tern_schema_version{dependency="shard a",kind="shard"} 7)"), std::string::npos);
  EXPECT_NE(text.find(R"(tern_disk_free_bytes{path="/"})"), std::string::npos);
  well = true;
  again.get_future().wait();
  EXPECT_NE(metrics.render().find(R"(tern_dependency_up{dependency="redis",kind="redis"} 1)"), std::string::npos);
  looks.stop();
  EXPECT_NE(metrics.render().find(R"(tern_dependency_up{dependency="last",kind="meta"} 0)"), std::string::npos);
}

TEST(watch_test, readiness_is_that_of_readyz) {
  metrics::registry metrics;
  health_state health;
  const watch looks(metrics, health, {});
  EXPECT_NE(metrics.render().find("tern_ready 0"), std::string::npos);
  health.set_ready("map", true);
  health.set_started();
  EXPECT_NE(metrics.render().find("tern_ready 1"), std::string::npos);
}

TEST(watch_test, tells_when_a_certificate_ends) {
  const testing::temp_dir home("tern-watch");
  ASSERT_TRUE(testing::run_program({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                                    "-nodes", "-keyout", home.file("key"), "-out", home.file("crt"), "-days", "3",
                                    "-subj", "/CN=edge"}));
  metrics::registry metrics;
  const health_state health;
  const watch looks(metrics, health,
                    {{{"clients", home.file("crt")}, {"links", ""}, {"authority", home.file("no")}}});
  const auto text = metrics.render();
  const std::string name = R"(tern_tls_certificate_expiry_timestamp_seconds{use="clients"} )";
  const auto at = text.find(name);
  ASSERT_NE(at, std::string::npos) << text;
  const auto left = std::stod(text.substr(at + name.size())) - static_cast<double>(::time(nullptr));
  EXPECT_NEAR(left, 3 * 86400, 600);
  EXPECT_EQ(text.find("use=\"links\""), std::string::npos);
  EXPECT_EQ(text.find("use=\"authority\""), std::string::npos);
}

}  // namespace
}  // namespace tern::app

#include "libs/redis/client.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "libs/testing/fake_clock.hpp"
#include "libs/testing/servers.hpp"

namespace tern::redis {
namespace {

using namespace std::chrono_literals;

class redis_test : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = testing::redis_server::start();
    ASSERT_TRUE(started) << started.error().detail;
    server_ = std::move(*started);
    client_ = std::make_unique<client>(*parse_url(server_->url()), client_options{}, time_);
  }
  std::unique_ptr<testing::redis_server> server_;
  testing::fake_clock time_;
  std::unique_ptr<client> client_;
};

TEST(redis_url, hosts_ports_sockets_and_passwords_are_understood) {
  EXPECT_EQ(parse_url("redis://localhost")->port, 6379);
  EXPECT_EQ(parse_url("redis://10.0.0.1:7000/")->host, "10.0.0.1");
  EXPECT_EQ(parse_url("redis://[::1]:7000")->host, "::1");
  EXPECT_EQ(parse_url("redis://h:7000/3")->database, 3);
  EXPECT_EQ(parse_url("redis://:p@ss@h:1")->password, "p@ss");
  EXPECT_EQ(parse_url("redis://u:p@h")->user, "u");
  EXPECT_EQ(parse_url("unix:/run/redis.sock")->path, "/run/redis.sock");
  for (const char* bad : {"", "redis://", "redis://h:", "redis://h:0", "redis://h:99999", "redis://h:1/x",
                          "unix:", "h:1", "http://h"}) {
    EXPECT_EQ(parse_url(bad).code(), errc::config) << bad;
  }
}

TEST_F(redis_test, a_value_is_read_once) {
  const std::string value("\0\r\n\xFF", 4);
  ASSERT_TRUE(client_->set_ex("key", value, 60s));
  EXPECT_EQ(*client_->getdel("key"), value);
  EXPECT_EQ(*client_->getdel("key"), std::nullopt);
}

TEST_F(redis_test, a_counter_ends_with_the_life_of_its_first_use) {
  EXPECT_EQ(*client_->incr_expire("count", 1s), 1);
  EXPECT_EQ(*client_->incr_expire("count", 1000s), 2);
  // Later uses do not prolong it: within some seconds it starts again.
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (*client_->incr_expire("count", 1000s) != 1) ASSERT_LT(std::chrono::steady_clock::now(), until);
}

TEST_F(redis_test, a_refused_command_leaves_the_connection_usable) {
  ASSERT_TRUE(client_->set_ex("text", "abc", 60s));
  EXPECT_EQ(client_->incr_expire("text", 60s).code(), errc::database);
  EXPECT_TRUE(client_->ping());
}

TEST_F(redis_test, operations_are_counted_with_their_time_and_errors) {
  auto& of = operations()[2];  // getdel
  const auto number = [&of] {
    uint64_t sum = 0;
    for (size_t i = 0; i <= of.seconds.bounds().size(); ++i) sum += of.seconds.count(i);
    return sum;
  };
  const auto before = number();
  const auto errors = of.errors.read();
  ASSERT_TRUE(client_->getdel("nothing"));
  EXPECT_EQ(number(), before + 1);
  EXPECT_EQ(of.errors.read(), errors);
  server_->kill_hard();
  EXPECT_FALSE(client_->getdel("nothing"));
  EXPECT_EQ(number(), before + 2);
  EXPECT_EQ(of.errors.read(), errors + 1);
}

TEST_F(redis_test, a_killed_server_is_unavailable_until_it_is_back) {
  ASSERT_TRUE(client_->ping());
  server_->kill_hard();
  EXPECT_FALSE(client_->ping());
  EXPECT_EQ(client_->ping().code(), errc::unavailable);
  ASSERT_TRUE(server_->restart());
  EXPECT_EQ(client_->ping().code(), errc::unavailable);  // the pause between attempts is not over
  time_.advance(3s);
  EXPECT_TRUE(client_->ping());
}

TEST_F(redis_test, a_server_that_was_restarted_meanwhile_is_found_again_at_once) {
  ASSERT_TRUE(client_->ping());
  server_->stop();
  ASSERT_TRUE(server_->restart());
  EXPECT_TRUE(client_->ping());
}

TEST_F(redis_test, a_paused_server_is_given_up_after_the_timeout) {
  ASSERT_TRUE(client_->ping());
  server_->pause();
  EXPECT_EQ(client_->getdel("key").code(), errc::deadline);
  EXPECT_EQ(client_->getdel("key").code(), errc::unavailable);
  server_->resume();
  time_.advance(3s);
  EXPECT_TRUE(client_->ping());
}

TEST_F(redis_test, threads_share_a_client) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) EXPECT_TRUE(client_->incr_expire("shared", 60s));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(*client_->incr_expire("shared", 60s), 401);
}

TEST(redis_client, a_socket_path_works_and_a_missing_one_is_unavailable) {
  auto server = testing::redis_server::start();
  ASSERT_TRUE(server) << server.error().detail;
  client there(*parse_url("unix:" + (*server)->socket_path()));
  EXPECT_TRUE(there.ping());
  client nowhere(*parse_url("unix:/nonexistent/redis.sock"));
  EXPECT_EQ(nowhere.ping().code(), errc::unavailable);
}

}  // namespace
}  // namespace tern::redis

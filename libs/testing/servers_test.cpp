#include "libs/testing/servers.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

namespace tern::testing {
namespace {

TEST(postgres_server, keeps_committed_rows_over_every_kind_of_end) {
  auto started = postgres_server::start();
  ASSERT_TRUE(started) << started.error().detail;
  auto& server = **started;
  ASSERT_TRUE(server.query("create table t (n int)"));
  EXPECT_EQ(*server.query("show fsync"), "on\n");

  ASSERT_TRUE(server.query("insert into t values (1)"));
  server.stop();
  EXPECT_FALSE(server.query("select 1"));
  auto up = server.restart();
  ASSERT_TRUE(up) << up.error().detail;
  ASSERT_TRUE(server.query("insert into t values (2)"));
  server.stop_immediately();
  up = server.restart();
  ASSERT_TRUE(up) << up.error().detail;
  ASSERT_TRUE(server.query("insert into t values (3)"));
  server.kill_hard();
  up = server.restart();
  ASSERT_TRUE(up) << up.error().detail;
  EXPECT_EQ(*server.query("select sum(n) from t"), "6\n");
  server.pause();
  server.resume();
  EXPECT_EQ(*server.query("select 1"), "1\n");

  const pid_t pid = server.pid();
  started->reset();
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(postgres_server, has_as_many_databases_as_a_test_wants) {
  auto server = postgres_server::start();
  ASSERT_TRUE(server) << server.error().detail;
  ASSERT_TRUE((*server)->create_database("second"));
  EXPECT_EQ(*(*server)->query("select current_database()", "second"), "second\n");
  EXPECT_FALSE((*server)->create_database("second"));
}

TEST(redis_server, answers_after_a_restart_and_forgets) {
  auto started = redis_server::start();
  ASSERT_TRUE(started) << started.error().detail;
  auto& server = **started;
  EXPECT_EQ(*run_program({"redis-cli", "-p", std::to_string(server.port()), "set", "k", "1"}), "OK\n");
  EXPECT_EQ(*run_program({"redis-cli", "-s", server.socket_path(), "get", "k"}), "1\n");
  server.kill_hard();
  ASSERT_TRUE(server.restart());
  EXPECT_EQ(*run_program({"redis-cli", "-s", server.socket_path(), "get", "k"}), "\n");
}

}  // namespace
}  // namespace tern::testing

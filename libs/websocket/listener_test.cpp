// The listener: closed, and open again.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <thread>

#include "libs/websocket/server.hpp"
#include "libs/websocket/testing/echo_server.hpp"
#include "libs/websocket/testing/raw_client.hpp"

namespace tern::websocket {
namespace {

using namespace testing;

TEST(listener, stops_accepting_but_serves_those_who_are_there) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  server.one->stop_accepting();
  raw_client late(server.port());
  EXPECT_FALSE(late.connected() && late.upgrade());
  client.send(frame(2, "still"));
  EXPECT_EQ(client.read_frame().payload, "still");
}

TEST(listener, listens_again_at_the_same_port_when_told_to) {
  echo_server server;
  const uint16_t port = server.port();
  raw_client client(port);
  ASSERT_TRUE(client.upgrade());
  for (int round = 0; round < 3; ++round) {
    server.one->stop_accepting();
    server.one->stop_accepting();
    server.one->resume_accepting();
    server.one->resume_accepting();
    server.run([](io_thread&) {});  // what these have posted has run
    raw_client late(port);
    ASSERT_TRUE(late.upgrade());
    late.send(frame(2, "late"));
    EXPECT_EQ(late.read_frame().payload, "late");
  }
  EXPECT_EQ(server.port(), port);
  server.one->resume_accepting();  // listens already
  client.send(frame(2, "still"));
  EXPECT_EQ(client.read_frame().payload, "still");
}

TEST(listener, waits_for_its_port_when_somebody_else_has_taken_it) {
  auto first = std::make_unique<echo_server>();
  server_options options;
  options.port = first->port();
  first->one->stop_accepting();
  first->run([](io_thread&) {});
  auto second = std::make_unique<echo_server>(options);
  first->one->resume_accepting();
  first->run([](io_thread&) {});
  second.reset();
  bool served = false;
  for (int tries = 0; tries < 500 && !served; ++tries) {
    raw_client client(options.port);
    served = client.connected() && client.upgrade();
    if (!served) first->run([](io_thread&) {});
    if (!served) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(served);
}

}  // namespace
}  // namespace tern::websocket

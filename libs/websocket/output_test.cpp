// What the server writes: coalescing, messages made beforehand, slow readers. Plain TCP.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "libs/websocket/server.hpp"
#include "libs/websocket/testing/echo_server.hpp"
#include "libs/websocket/testing/raw_client.hpp"

namespace tern::websocket {
namespace {

using namespace std::chrono_literals;
using testing::echo_server;
using testing::frame;
using testing::raw_client;

TEST(server_output, cuts_off_a_peer_that_does_not_read) {
  server_options options;
  options.write_stall_timeout = 300ms;
  echo_server server(options);
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(1, "flood 30000000"));
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.queued_bytes > 0; }));
  EXPECT_TRUE(server.events.wait_for("close:slow_consumer"));
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.open == 0 && s.queued_bytes == 0; }));
}

TEST(server_output, keeps_a_slow_reader_that_makes_progress_and_loses_nothing) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(1, "flood 20000000") + frame(2, "end"));
  size_t bytes = 0;
  for (auto got = client.read_frame(); got.ok && got.payload != "end"; got = client.read_frame()) {
    bytes += got.payload.size();
  }
  EXPECT_EQ(bytes, (20'000'000U / 16384 + 1) * 16384);
}

TEST(server_output, writes_what_one_wakeup_queued_in_one_write) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  const auto before = server.one->stats();
  std::string burst;
  for (int i = 0; i < 50; ++i) burst += frame(2, "message");
  client.send(burst);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.read_frame().payload, "message");
  const auto after = server.one->stats();
  EXPECT_EQ(after.messages_in - before.messages_in, 50U);
  EXPECT_EQ(after.messages_out - before.messages_out, 50U);
  EXPECT_LE(after.writes - before.writes, after.reads - before.reads);
}

TEST(server_output, loses_no_short_message_when_many_connections_write_at_once) {
  echo_server server;
  std::vector<std::unique_ptr<raw_client>> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<raw_client>(server.port()));
    ASSERT_TRUE(clients.back()->upgrade());
  }
  // While the server works for one, the others' messages come: it handles them in one wake-up.
  raw_client busy(server.port());
  ASSERT_TRUE(busy.upgrade());
  busy.send(frame(1, "flood 20000000"));
  for (auto& one : clients) one->send(frame(2, "a") + frame(2, "b"));
  for (auto& one : clients) {
    ASSERT_EQ(one->read_frame().payload, "a");
    ASSERT_EQ(one->read_frame().payload, "b");
  }
}

TEST(server_output, sends_messages_made_beforehand_in_order_with_the_others) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  const auto before = server.one->stats();
  client.send(frame(1, "made 1 text"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.read_frame().payload, "made-text");
  EXPECT_EQ(client.read_frame().payload, "end");
  EXPECT_TRUE(server.wait_stats([&](const auto& s) { return s.writes - before.writes == 2 && s.queued_bytes == 0; }));
  EXPECT_EQ(server.one->stats().messages_out - before.messages_out, 4U);
}

TEST(server_output, loses_nothing_of_messages_made_beforehand_when_the_peer_reads_slowly) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  const std::string text(90'000, 'y');
  client.send(frame(1, "limit 100000") + frame(1, "made 60 " + text));
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.queued_bytes > 0; }));
  for (int i = 0; i < 180; ++i) ASSERT_EQ(client.read_frame().payload, "made-" + text) << i;
  EXPECT_EQ(client.read_frame().payload, "end");
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.queued_bytes == 0; }));
}

TEST(server_output, tells_when_a_full_socket_has_taken_all_so_that_nothing_more_is_queued_than_one_message) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  const std::string text(60'000, 'z');
  client.send(frame(1, "limit 100000") + frame(1, "held 300 " + text));
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.queued_bytes > 0; }));
  for (int i = 1; i <= 300; ++i) {
    ASSERT_LE(server.one->stats().queued_bytes, text.size() + 20);
    ASSERT_EQ(client.read_frame().payload, std::to_string(i) + "-" + text);
  }
  EXPECT_GE(server.events.count("drained"), 1U);
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.queued_bytes == 0; }));
}

TEST(server_output, does_not_tell_of_messages_that_were_never_queued) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(1, "held 3 text"));
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(client.read_frame().payload, std::to_string(i) + "-text");
  client.send(frame(2, "echo"));  // queued until the end of the wake-up
  EXPECT_EQ(client.read_frame().payload, "echo");
  EXPECT_TRUE(server.events.wait_for("drained"));
  EXPECT_EQ(server.events.count("drained"), 1U);
}

TEST(server_output, cuts_off_a_peer_that_reads_nothing_of_what_is_held_for_it) {
  server_options options;
  options.write_stall_timeout = 300ms;
  echo_server server(options);
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(1, "limit 100000") + frame(1, "held 300 " + std::string(60'000, 'z')));
  EXPECT_TRUE(server.events.wait_for("close:slow_consumer"));
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.open == 0 && s.queued_bytes == 0; }));
}

}  // namespace
}  // namespace tern::websocket

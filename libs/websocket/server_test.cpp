// The server over real sockets: requests, upgrade, messages, the closing handshake, limits. Plain TCP.
#include "libs/websocket/server.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <vector>

#include "libs/websocket/testing/echo_server.hpp"
#include "libs/websocket/testing/raw_client.hpp"

namespace tern::websocket {
namespace {

using namespace std::chrono_literals;
using testing::client_frame;
using testing::close_frame;
using testing::echo_server;
using testing::frame;
using testing::raw_client;
using testing::upgrade_request;

TEST(server, refuses_to_listen_where_it_cannot) {
  echo_server first;
  server_options options;
  options.port = first.port();
  const auto taken = make_server(options, {}, {})->listen();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.code(), errc::config);
  options.host = "not an address";
  EXPECT_EQ(make_server(options, {}, {})->listen().code(), errc::config);
  options.host = "192.0.2.1";  // not ours
  EXPECT_EQ(make_server(options, {}, {})->listen().code(), errc::config);
}

TEST(server, answers_plain_requests_and_keeps_the_connection) {
  echo_server server;
  raw_client client(server.port());
  std::string head;
  std::string body;
  ASSERT_TRUE(client.send("GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_EQ(client.read_status(&head, &body), 200);
  EXPECT_EQ(body, "GET /a?b 0 127.0.0.1");
  EXPECT_NE(head.find("Connection: keep-alive\r\n"), std::string::npos);
  // Three at once, one of them answered by another thread: in order.
  ASSERT_TRUE(
      client.send("GET /later HTTP/1.1\r\nHost: h\r\n\r\nPOST /p HTTP/1.1\r\nHost: h\r\nContent-Length: "
                  "3\r\n\r\nabc\r\nGET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"));
  EXPECT_EQ(client.read_status(nullptr, &body), 200);
  EXPECT_EQ(body, "GET /later? 0 127.0.0.1");
  EXPECT_EQ(client.read_status(nullptr, &body), 200);
  EXPECT_EQ(body, "POST /p? 3 127.0.0.1");
  EXPECT_EQ(client.read_status(&head, &body), 200);
  EXPECT_EQ(body, "GET /last? 0 127.0.0.1");
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(client.at_end());
}

TEST(server, answers_head_without_a_body_and_http_1_0_by_closing) {
  echo_server server;
  raw_client head(server.port());
  head.send("HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const auto got = head.read_to_end();
  EXPECT_NE(got.find("Content-Length: 20\r\n"), std::string::npos);
  EXPECT_TRUE(got.ends_with("\r\n\r\n"));
  raw_client old(server.port());
  old.send("GET /x HTTP/1.0\r\n\r\n");
  bool closed = false;
  EXPECT_TRUE(old.read_to_end(&closed).ends_with("GET /x? 0 127.0.0.1"));
  EXPECT_TRUE(closed);
}

TEST(server, asks_for_an_announced_body_and_then_serves_it) {
  echo_server server;
  raw_client client(server.port());
  client.send("POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("he");
  client.send("llo");
  std::string body;
  EXPECT_EQ(client.read_status(nullptr, &body), 200);
  EXPECT_EQ(body, "POST /p? 5 127.0.0.1");
}

TEST(server, answers_a_forgotten_request_with_500) {
  echo_server server;
  raw_client client(server.port());
  client.send("GET /forget HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.read_status(), 500);
}

TEST(server, drops_fields_that_would_split_an_answer) {
  echo_server server;
  raw_client client(server.port());
  client.send("GET /split HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_to_end().find("Injected"), std::string::npos);
}

TEST(server, writes_a_big_answer_whole) {
  echo_server server;
  raw_client client(server.port());
  client.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
  std::string body;
  EXPECT_EQ(client.read_status(nullptr, &body), 200);
  EXPECT_EQ(body.size(), 4'000'000U);
  EXPECT_EQ(client.read_status(nullptr, &body), 200);
  EXPECT_EQ(body, "GET /next? 0 127.0.0.1");
}

TEST(server, ends_a_connection_after_a_hundred_requests) {
  echo_server server;
  raw_client client(server.port());
  int answered = 0;
  std::string head;
  for (int i = 0; i < 100; ++i) {
    client.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
    if (client.read_status(&head) == 200) ++answered;
  }
  EXPECT_EQ(answered, 100);
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(client.at_end());
}

TEST(server, refuses_bad_requests_with_their_status_and_closes) {
  echo_server server;
  const std::vector<std::pair<std::string, int>> bad = {
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {std::string("\x16\x03\x01\x00\x05hello", 10), 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(100'000, 'x') + "\r\n\r\n", 431},
      {"GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n", 413},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Version: 8\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
       426},
  };
  for (const auto& [bytes, status] : bad) {
    raw_client client(server.port());
    ASSERT_TRUE(client.send(bytes));
    bool closed = false;
    const auto got = client.read_to_end(&closed);
    EXPECT_TRUE(got.starts_with("HTTP/1.1 " + std::to_string(status) + " ")) << bytes.substr(0, 60) << " -> " << got;
    EXPECT_TRUE(closed);
  }
  EXPECT_EQ(server.one->stats().refused_protocol, bad.size());
}

TEST(server, lets_the_application_refuse_an_upgrade) {
  echo_server server;
  raw_client client(server.port());
  client.send(upgrade_request("", "/refuse"));
  EXPECT_EQ(client.read_status(), 403);
  EXPECT_TRUE(client.at_end());
  EXPECT_TRUE(server.events.all().empty());
}

TEST(server, takes_bytes_right_behind_the_upgrade_as_frames) {
  echo_server server;
  raw_client client(server.port());
  client.send(upgrade_request("Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Protocol: x\r\n") +
              frame(2, "one") + frame(1, "two") + frame(9, "p"));
  const auto head = client.read_until("\r\n\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 101 "));
  EXPECT_EQ(head.find("Extensions"), std::string::npos);
  EXPECT_EQ(head.find("Protocol:"), std::string::npos);
  EXPECT_EQ(client.read_frame().payload, "one");
  EXPECT_EQ(client.read_frame().payload, "two");
  const auto pong = client.read_frame();
  EXPECT_EQ(pong.first, 0x8AU);
  EXPECT_EQ(pong.payload, "p");
  EXPECT_EQ(server.events.all(), (std::vector<std::string>{"open", "binary:one", "text:two", "batch"}));
}

TEST(server, reads_a_session_sent_byte_by_byte) {
  echo_server server;
  raw_client client(server.port());
  const auto bytes =
      upgrade_request() + client_frame{0x01, "He"}.bytes() + frame(0, "llo") + frame(2, "x") + close_frame(1000);
  for (const char c : bytes) ASSERT_TRUE(client.send({&c, 1}));
  EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  EXPECT_EQ(client.read_frame().payload, "Hello");
  EXPECT_EQ(client.read_frame().payload, "x");
  EXPECT_EQ(client.read_frame().code(), 1000);
  EXPECT_TRUE(client.at_end());
}

TEST(server, answers_a_close_with_its_code_and_ends_the_connection) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(2, "a") + close_frame(3000, "bye") + frame(2, "after close"));
  EXPECT_EQ(client.read_frame().payload, "a");
  EXPECT_EQ(client.read_frame().code(), 3000);
  EXPECT_TRUE(client.at_end());
  client.shut_write();
  ASSERT_TRUE(server.events.wait_for("close:client"));
  EXPECT_EQ(server.events.all(), (std::vector<std::string>{"open", "binary:a", "batch", "close:client"}));
  EXPECT_TRUE(
      server.wait_stats([](const auto& s) { return s.open == 0 && s.websockets == 0 && s.queued_bytes == 0; }));
}

TEST(server, answers_a_close_without_code_by_one_without_code) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(8, ""));
  const auto answer = client.read_frame();
  EXPECT_EQ(answer.opcode(), 8U);
  EXPECT_EQ(answer.payload, "");
  EXPECT_TRUE(client.at_end());
}

TEST(server, closes_when_asked_and_waits_for_the_answer) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(2, "first") + frame(1, "close 4001") + frame(2, "ignored"));
  EXPECT_EQ(client.read_frame().payload, "first");
  const auto got = client.read_frame();
  EXPECT_EQ(got.code(), 4001);
  EXPECT_EQ(got.payload.substr(2), "bye");
  client.send(frame(2, "ignored too") + close_frame(4001));
  EXPECT_TRUE(client.at_end());
  ASSERT_TRUE(server.events.wait_for("close:drain"));
  EXPECT_EQ(server.events.all(),
            (std::vector<std::string>{"open", "binary:first", "text:close 4001", "batch", "close:drain"}));
}

TEST(server, drops_a_peer_that_does_not_answer_a_close) {
  server_options options;
  options.close_timeout = 100ms;
  echo_server server(options);
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(1, "close 1000"));
  EXPECT_EQ(client.read_frame().code(), 1000);
  EXPECT_TRUE(client.at_end());
  EXPECT_TRUE(server.events.wait_for("close:drain"));
}

TEST(server, drops_a_connection_at_once_on_abort) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(1, "abort") + frame(2, "never seen"));
  EXPECT_TRUE(client.at_end());
  ASSERT_TRUE(server.events.wait_for("close:auth"));
  EXPECT_EQ(server.events.all(), (std::vector<std::string>{"open", "text:abort", "batch", "close:auth"}));
}

TEST(server, tells_of_peers_that_just_vanish) {
  echo_server server;
  {
    raw_client client(server.port());
    ASSERT_TRUE(client.upgrade());
  }
  EXPECT_TRUE(server.events.wait_for("close:client"));
  {
    raw_client client(server.port());
    ASSERT_TRUE(client.upgrade());
    const linger reset{1, 0};
    ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  EXPECT_TRUE(server.events.wait_for("close:error"));
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.open == 0; }));
}

TEST(server, fails_bad_frames_with_their_code_and_tells_the_handler) {
  echo_server server;
  const std::vector<std::pair<std::string, uint16_t>> bad = {
      {client_frame{0x82, "x", false}.bytes(), 1002},
      {client_frame{0xC2, "x"}.bytes(), 1002},
      {frame(3, ""), 1002},
      {frame(11, ""), 1002},
      {client_frame{0x09, ""}.bytes(), 1002},
      {frame(9, std::string(126, 'p')), 1002},
      {frame(0, ""), 1002},
      {client_frame{0x01, ""}.bytes() + frame(1, ""), 1002},
      {client_frame{0x82, "x", true, 126}.bytes(), 1002},
      {std::string("\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 10), 1009},
      {frame(2, std::string(65537, 'x')), 1009},
      {frame(1, "\xFF"), 1007},
      {close_frame(1005), 1002},
      {close_frame(5000), 1002},
      {frame(8, "x"), 1002},
      {close_frame(1000, "\xFF"), 1007},
  };
  for (const auto& [bytes, code] : bad) {
    raw_client client(server.port());
    ASSERT_TRUE(client.upgrade());
    client.send(bytes + frame(2, "after"));
    EXPECT_EQ(client.read_frame().code(), code);
    client.shut_write();
    EXPECT_TRUE(client.at_end());
  }
  EXPECT_TRUE(server.events.wait_for("close:protocol", bad.size() - 2));
  EXPECT_TRUE(server.events.wait_for("close:limit", 2));
  EXPECT_EQ(server.events.count("binary:after"), 0U);
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.open == 0; }));
}

TEST(server, bounds_a_million_empty_fragments) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  std::string flood = client_frame{0x02, ""}.bytes();
  for (int i = 0; i < 10'000; ++i) flood += client_frame{0x00, ""}.bytes();
  for (int i = 0; i < 100 && client.send(flood); ++i) {
  }
  EXPECT_EQ(client.read_frame().code(), 1008);
  EXPECT_TRUE(server.events.wait_for("close:limit"));
}

TEST(server, answers_the_newest_of_several_pings_and_ends_a_flood) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(9, "1") + frame(9, "2") + frame(9, "3"));
  EXPECT_EQ(client.read_frame().payload, "3");
  std::string flood;
  for (int i = 0; i < 10'000; ++i) flood += frame(9, "ping");
  client.send(flood);
  auto got = client.read_frame();
  while (got.ok && got.opcode() == 10) got = client.read_frame();
  EXPECT_EQ(got.code(), 1008);
  EXPECT_TRUE(server.events.wait_for("close:limit"));
}

TEST(server, raises_the_message_limit_of_one_connection) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(1, "limit 1000000"));
  const std::string big(900'000, 'g');
  client.send(frame(2, big));
  EXPECT_EQ(client.read_frame().payload, big);
  client.send(client_frame{0x02, big}.bytes() + frame(0, std::string(100'001, 'g')));
  EXPECT_EQ(client.read_frame().code(), 1009);
}

TEST(server, stops_giving_messages_while_paused_and_goes_on_where_it_was) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(1, "pause") + frame(2, "held") + frame(2, "back"));
  ASSERT_TRUE(server.events.wait_for("batch"));
  client.send(frame(2, "later"));
  server.run([&](io_thread&) { EXPECT_EQ(server.events.count("binary:held"), 0U); });
  server.run([](io_thread& thread) { thread.for_each([](connection& one) { one.pause_reading(false); }); });
  EXPECT_EQ(client.read_frame().payload, "held");
  EXPECT_EQ(client.read_frame().payload, "back");
  EXPECT_EQ(client.read_frame().payload, "later");
}

TEST(server, closes_a_paused_connection_in_order) {
  echo_server server;
  raw_client client(server.port());
  ASSERT_TRUE(client.upgrade());
  client.send(frame(1, "pause") + frame(2, "held") + close_frame(1000));
  ASSERT_TRUE(server.events.wait_for("batch"));
  server.run([](io_thread& thread) {
    thread.for_each([](connection& one) { one.close(1001, "going", close_reason::drain); });
  });
  EXPECT_EQ(client.read_frame().code(), 1001);
  EXPECT_TRUE(client.at_end());
  EXPECT_TRUE(server.events.wait_for("close:drain"));
  EXPECT_EQ(server.events.count("binary:held"), 0U);
}

TEST(server, cuts_a_head_that_takes_too_long) {
  server_options options;
  options.head_timeout = 200ms;
  echo_server server(options);
  raw_client silent(server.port());
  raw_client slow(server.port());
  slow.send("G");
  EXPECT_TRUE(silent.at_end());
  EXPECT_EQ(slow.read_status(), 408);
  slow.shut_write();
  EXPECT_TRUE(slow.at_end());
  raw_client body(server.port());
  body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(body.read_status(), 408);
  raw_client kept(server.port());
  kept.send("GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(kept.read_status(), 200);
  EXPECT_TRUE(kept.at_end());
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.half_open == 0; }));
}

TEST(server, leaves_an_open_websocket_in_peace) {
  server_options options;
  options.head_timeout = 100ms;
  options.write_stall_timeout = 100ms;
  options.close_timeout = 100ms;
  echo_server server(options);
  raw_client quiet(server.port());
  ASSERT_TRUE(quiet.upgrade());
  raw_client silent(server.port());
  EXPECT_TRUE(silent.at_end());  // 100 ms and more have gone by
  quiet.send(frame(2, "still here"));
  EXPECT_EQ(quiet.read_frame().payload, "still here");
}

TEST(server, limits_half_open_connections_per_address) {
  server_options options;
  options.max_half_open_per_address = 3;
  echo_server server(options);
  std::vector<raw_client> held;
  for (int i = 0; i < 3; ++i) held.emplace_back(server.port());
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.half_open == 3; }));
  raw_client fourth(server.port());
  EXPECT_TRUE(fourth.at_end());
  raw_client elsewhere(server.port(), "127.0.0.2");
  EXPECT_TRUE(elsewhere.upgrade());
  EXPECT_TRUE(held[0].upgrade());  // makes room
  raw_client fifth(server.port());
  EXPECT_TRUE(fifth.upgrade());
  EXPECT_EQ(server.one->stats().refused_limit, 1U);
}

TEST(server, answers_503_beyond_its_connections) {
  server_options options;
  options.max_connections = 2;
  echo_server server(options);
  raw_client first(server.port());
  ASSERT_TRUE(first.upgrade());
  {
    raw_client second(server.port());
    ASSERT_TRUE(second.upgrade());
    raw_client third(server.port());
    third.send(upgrade_request());
    EXPECT_EQ(third.read_status(), 503);
    EXPECT_TRUE(third.at_end());
  }
  EXPECT_TRUE(server.wait_stats([](const auto& s) { return s.websockets == 1; }));
  raw_client fourth(server.port());
  EXPECT_TRUE(fourth.upgrade());
  EXPECT_EQ(server.one->stats().refused_limit, 1U);
}

TEST(server, survives_running_out_of_descriptors_without_spinning) {
  echo_server server;
  raw_client before(server.port());
  ASSERT_TRUE(before.upgrade());
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  // The client's own socket is made first, then no descriptor is left for the server's end of it.
  const int spare = ::socket(AF_INET, SOCK_STREAM, 0);
  const rlimit low{static_cast<rlim_t>(spare), old.rlim_max};
  ::close(spare);
  {
    raw_client waiting(server.port());  // takes the number `spare` had
    ::setrlimit(RLIMIT_NOFILE, &low);
    raw_client none(server.port());
    EXPECT_FALSE(none.connected());
    before.send(frame(2, "served meanwhile"));
    EXPECT_EQ(before.read_frame().payload, "served meanwhile");
    ::setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_TRUE(waiting.upgrade());
  }
}

TEST(server, runs_posted_work_in_order_and_periodic_work) {
  server_options options;
  options.threads = 2;
  echo_server server(options);
  std::vector<int> order;
  auto* thread = server.one->threads().front();
  for (int i = 0; i < 100; ++i) thread->post([&order, i] { order.push_back(i); });
  server.run([](io_thread&) {});
  ASSERT_EQ(order.size(), 100U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  server.run([&](io_thread& one) { one.every(1ms, [&server] { server.events.add("tick"); }); });
  EXPECT_TRUE(server.events.wait_for("tick", 3));
}

TEST(server, finds_open_connections_by_id_until_they_close) {
  server_options options;
  options.threads = 3;
  echo_server server(options);
  std::vector<raw_client> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back(server.port());
    ASSERT_TRUE(clients.back().upgrade());
  }
  uint64_t id = 0;
  size_t here = 0;
  server.run([&](io_thread& thread) {
    thread.for_each([&](connection& one) {
      ++here;
      id = one.id();
      EXPECT_EQ(one.remote_address(), "127.0.0.1");
      EXPECT_EQ(thread.find(one.id()), &one);
      EXPECT_EQ(&one.thread(), &thread);
      one.send({}, "from outside");
    });
    EXPECT_EQ(thread.find(12345), nullptr);
  });
  EXPECT_EQ(here, 2U);  // shared out evenly
  EXPECT_EQ(id >> 48, 0U);
  server.run([&](io_thread& thread) { thread.find(id)->abort(close_reason::idle); });
  ASSERT_TRUE(server.events.wait_for("close:idle"));
  server.run([&](io_thread& thread) { EXPECT_EQ(thread.find(id), nullptr); });
}

TEST(server, runs_work_once_and_no_sooner_than_its_time) {
  echo_server server;
  const auto began = std::chrono::steady_clock::now();
  server.run([&](io_thread& on) {
    on.after(std::chrono::milliseconds(30), [&] { server.events.add("later"); });
    on.after(std::chrono::milliseconds(0), [&] { server.events.add("soon"); });
    on.after(std::chrono::hours(1), [&] { server.events.add("never"); });
  });
  ASSERT_TRUE(server.events.wait_for("later"));
  EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds(30));
  EXPECT_EQ(server.events.all(), (std::vector<std::string>{"soon", "later"}));
  server.one->stop();  // although work for later is waiting
  EXPECT_EQ(server.events.count("never"), 0U);
}

TEST(server, tells_every_handler_when_it_stops_and_can_be_stopped_again) {
  server_options options;
  options.threads = 2;
  auto server = std::make_unique<echo_server>(options);
  std::vector<raw_client> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(server->port());
    ASSERT_TRUE(clients.back().upgrade());
  }
  raw_client half(server->port());
  server->one->stop();
  EXPECT_EQ(server->events.count("close:drain"), 4U);
  server->one->stop();
  EXPECT_EQ(server->one->stats().open, 0U);
  for (auto& one : clients) EXPECT_TRUE(one.at_end());
}

TEST(server, is_quiet_when_never_started) {
  server_options options;
  const auto server = make_server(options, {}, {});
  ASSERT_TRUE(server->listen());
  EXPECT_NE(server->port(), 0);
  server->stop();
}

}  // namespace
}  // namespace tern::websocket

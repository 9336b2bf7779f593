// What a gateway lets a connection do: before login, malformed frames, rates, sizes, origins, switched-off commands.
#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

class edge_limits : public edge_test {};

TEST_F(edge_limits, echo_a_ping_before_login) {
  start();
  ws_client client(port());
  ASSERT_EQ(client.status(), 101);
  client.send("\x0d");
  EXPECT_EQ(client.receive(), "\x0d");
}

TEST_F(edge_limits, close_at_any_first_frame_that_is_neither_auth_nor_ping) {
  options.max_half_open_per_address = 100000;
  start();
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto type = static_cast<frame_type>(byte & 0x7FU);
    if (type == frame_type::auth || type == frame_type::ping) continue;
    ws_client client(port());
    client.send(std::string(1, static_cast<char>(byte)));
    EXPECT_TRUE(client.wait_close()) << byte;
  }
  EXPECT_TRUE(session.nothing([](const auto&) { return true; }));
}

TEST_F(edge_limits, close_at_an_empty_frame_before_login) {
  start();
  ws_client client(port());
  client.send("");
  EXPECT_TRUE(client.wait_close());
}

TEST_F(edge_limits, close_at_the_fourth_frame_before_login) {
  start();
  ws_client client(port());
  for (int i = 0; i < 3; ++i) {
    client.send("\x0d");
    EXPECT_TRUE(client.receive());
  }
  client.send("\x0d");
  EXPECT_TRUE(client.wait_close());
}

TEST_F(edge_limits, close_at_a_large_frame_before_login) {
  start();
  ws_client client(port());
  std::string large(1025, 'x');
  large[0] = '\x10';
  client.send(large);
  EXPECT_EQ(client.wait_close(), 1009);
}

TEST_F(edge_limits, close_when_nobody_logs_in) {
  options.auth_timeout = std::chrono::milliseconds{300};
  start();
  ws_client client(port());
  EXPECT_EQ(client.wait_close(), 1008);
}

TEST_F(edge_limits, close_at_a_text_message) {
  start();
  ws_client client(port());
  client.send_text("{}");
  EXPECT_EQ(client.wait_close(), 1003);
}

TEST_F(edge_limits, close_an_idle_connection) {
  options.ping_timeout = std::chrono::milliseconds{400};
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  EXPECT_EQ(client.ws().wait_close(), 1001);
  EXPECT_EQ(session.expect_closed().closed().conn(), conn);
}

TEST_F(edge_limits, answer_each_single_byte_after_login_and_stay_open) {
  options.max_bad_frames = 1000;
  options.max_bogus_acks = 1000;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  for (unsigned byte = 0; byte < 256; ++byte) client.ws().send(std::string(1, static_cast<char>(byte)));
  client.ws().send("\x0d");
  int pings = 0, errors = 0;
  while (pings < 3) {  // 13, 141 and the last one
    const auto frame = client.next();
    ASSERT_TRUE(frame);
    if (frame->type == frame_type::ping) ++pings;
    if (frame->type == frame_type::ack) {
      const auto ack = client.read<wire::tim_ack>(*frame);
      ASSERT_FALSE(ack.ok);
      const int code = ack.error->code.value_or(0);
      EXPECT_TRUE(code == 4107 || code == 4113 || code == 4114) << code;
      ++errors;
    }
  }
  // OFFLINEMSG carries nothing and goes on to the session; ACKs are not answered; PINGs are echoed.
  EXPECT_EQ(errors, 256 - 2 - 2 - 2);
  EXPECT_EQ(session.frames(), 2U);
}

TEST_F(edge_limits, answer_an_empty_frame_with_4113) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::json, conn);
  client.ws().send("");
  EXPECT_EQ(client.next_ack().error->code, 4113);
}

TEST_F(edge_limits, refuse_a_thrift_body_that_claims_to_be_json_and_the_reverse) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.ws().send(client_frame(frame_type::message, encoding::json, message_bytes(0, "x")));
  EXPECT_EQ(client.next_ack().error->code, 4113);
  client.ws().send(client_frame(frame_type::message, encoding::thrift, R"({"msType":2,"odType":1})"));
  EXPECT_EQ(client.next_ack().error->code, 4113);
  EXPECT_EQ(session.frames(), 0U);
}

TEST_F(edge_limits, close_after_too_many_malformed_frames) {
  options.max_bad_frames = 3;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  for (int i = 0; i < 3; ++i) {
    client.send_bytes(frame_type::message, "garbage");
    EXPECT_EQ(client.next_ack().error->code, 4113);
  }
  EXPECT_EQ(client.ws().wait_close(), 1008);
}

TEST_F(edge_limits, answer_5105_and_close_above_the_rate) {
  options.request_rate_per_second = 1;
  options.request_burst = 5;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::json, conn);
  for (int i = 0; i < 8; ++i) client.send_bytes(frame_type::ping, {});
  EXPECT_EQ(client.next_ack().error->code, 5105);
  EXPECT_EQ(client.ws().wait_close(), 1008);
}

TEST_F(edge_limits, take_a_frame_of_the_limit_and_close_at_a_larger_one) {
  options.max_frame_bytes = 4096;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  const std::string overhead = message_bytes(0, std::string(3000, 'x'));
  const std::string body(3000 + 4096 - 1 - overhead.size(), 'x');
  client.send_bytes(frame_type::message, message_bytes(0, body));
  EXPECT_EQ(session.expect_frame().frame().payload().size(), 4095U);
  client.ws().send(std::string(4097, 'x'));
  EXPECT_EQ(client.ws().wait_close(), 1009);
}

TEST_F(edge_limits, let_in_listed_origins_only) {
  options.origins = {"https://chat.example"};
  start();
  EXPECT_EQ(ws_client(port(), "Origin: https://chat.example\r\n").status(), 101);
  EXPECT_EQ(ws_client(port(), "Origin: https://chat.example.evil\r\n").status(), 403);
  EXPECT_EQ(ws_client(port(), "Origin: http://chat.example\r\n").status(), 403);
  EXPECT_EQ(ws_client(port()).status(), 403);
  const auto answer = http_request(port(), "POST", "/tim2", "\x0e", "Origin: https://evil\r\n");
  EXPECT_EQ(answer.status, 403);
}

TEST_F(edge_limits, upgrade_at_tim_only) {
  start();
  EXPECT_EQ(ws_client(port(), {}, "/tim2").status(), 404);
  EXPECT_EQ(ws_client(port(), {}, "/other").status(), 404);
}

TEST_F(edge_limits, keep_switched_off_commands_off_in_both_encodings_and_transports) {
  options.disabled_commands = {"register", "message"};
  start();
  for (const auto enc : {encoding::thrift, encoding::json}) {
    EXPECT_EQ(account_call(port(), frame_type::reg, enc, "alice", "secret").status, 403);
    uint64_t conn = 0;
    auto client = logged_on(enc, conn);
    wire::tim_message message;
    message.ms_type = 2;
    message.od_type = 1;
    client.send(frame_type::message, message);
    EXPECT_EQ(client.next_ack().error->code, 4107);
    client.send_bytes(frame_type::reg, {});
    EXPECT_EQ(client.next_ack().error->code, 4107);
  }
}

}  // namespace
}  // namespace tern::testing

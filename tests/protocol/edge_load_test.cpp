// Rates per address, load shedding, switched-off commands, and that each refusal is counted.
#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

class edge_load : public edge_test {
 protected:
  static void send_message(tim_client& client) { client.send_bytes(frame_type::message, message_of(client.enc())); }
  static std::string message_of(encoding enc) {
    wire::tim_message message;
    message.ms_type = 2;
    message.od_type = 1;
    message.data_string = "x";
    return wire::encode(enc, message);
  }
  double refused(const std::string& reason) {
    return metric("tern_gateway_refused_total{reason=\"" + reason + "\"}");
  }
};

TEST_F(edge_load, answer_5105_and_close_above_the_rate_of_the_address) {
  options.address_rate_per_second = 1;  // and two at once: with two logins the address has nothing left
  start();
  uint64_t one = 0, two = 0;
  auto first = logged_on(encoding::thrift, one);
  auto second = logged_on(encoding::json, two, "bob");
  // At most one frame per second is let in from now on, whichever connection it comes from.
  for (int i = 0; i < 100; ++i) {
    second.send_bytes(frame_type::ping, {});
    first.send_bytes(frame_type::ping, {});
  }
  for (auto* each : {&first, &second}) {
    EXPECT_EQ(each->next_ack().error->code, 5105);
    EXPECT_EQ(each->ws().wait_close(), 1008);
  }
  EXPECT_EQ(refused("address_rate"), 2);
  EXPECT_EQ(refused("rate"), 0);
}

TEST_F(edge_load, let_acknowledgements_pass_the_rate_of_the_address) {
  options.address_rate_per_second = 1;
  options.max_bogus_acks = 1000;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  for (int32_t i = 0; i < 50; ++i) client.acknowledge(i + 100);
  session.send_out(conn, frame_type::message, message_bytes(1, "x"), message_ref(1, 1));
  EXPECT_TRUE(client.next());
  EXPECT_EQ(refused("address_rate"), 0);
}

TEST_F(edge_load, answer_429_above_the_handshakes_of_the_address) {
  options.handshake_rate_per_second = 1;
  start();
  int refusals = 0;
  for (int i = 0; i < 40; ++i) {
    const int status =
        i % 2 == 0
            ? ws_client(port()).status()
            : http_request(port(), "POST", "/tim2", client_frame(frame_type::reg, encoding::json, "{}")).status;
    EXPECT_TRUE(status == 429 || status == (i % 2 == 0 ? 101 : 200)) << status;
    refusals += status == 429 ? 1 : 0;
  }
  EXPECT_GT(refusals, 0);
  EXPECT_EQ(refused("handshake_rate"), refusals);
  EXPECT_EQ(http_request(port(), "GET", "/").status, 200);  // the page is no handshake
}

TEST_F(edge_load, answer_5104_when_too_much_is_under_way_and_keep_the_connection) {
  options.overload_least = options.overload_most = 3;
  start();
  uint64_t conn = 0, conn_of_other = 0;
  auto client = logged_on(encoding::thrift, conn);
  auto other_client = logged_on(encoding::json, conn_of_other, "bob");
  for (int i = 0; i < 5; ++i) send_message(client);
  for (int i = 0; i < 2; ++i) {
    const auto ack = client.next_ack();
    EXPECT_EQ(ack.tim_type, 90);
    EXPECT_EQ(ack.error->code, 5104);
  }
  send_message(other_client);  // what is under way counts for all connections of the io thread
  EXPECT_EQ(other_client.next_ack().error->code, 5104);
  other_client.send_bytes(frame_type::offlinemsg, {});
  EXPECT_EQ(other_client.next_ack().tim_type, 17);
  other_client.send_bytes(frame_type::ping, {});  // which the gateway answers by itself
  EXPECT_TRUE(other_client.next(frame_type::ping));
  for (uint64_t seq = 1; seq <= 3; ++seq) EXPECT_EQ(session.expect_frame().frame().seq(), seq);
  EXPECT_EQ(session.frames(), 0U);
  EXPECT_EQ(refused("overload"), 4);
  session.send_out(conn, frame_type::message, message_bytes(1, "receipt"), {}, 2);
  ASSERT_TRUE(client.next());
  send_message(client);
  EXPECT_EQ(session.expect_frame().frame().seq(), 4U);
  send_message(other_client);
  EXPECT_EQ(session.expect_frame().frame().conn(), conn_of_other);
}

TEST_F(edge_load, forget_what_a_closed_connection_had_under_way) {
  options.overload_least = options.overload_most = 3;
  start();
  uint64_t conn = 0, conn_of_other = 0;
  auto client = logged_on(encoding::thrift, conn);
  for (int i = 0; i < 3; ++i) send_message(client);
  for (int i = 0; i < 3; ++i) session.expect_frame();
  client.ws().socket().close();
  session.expect_closed();
  auto other_client = logged_on(encoding::thrift, conn_of_other, "bob");
  for (int i = 0; i < 3; ++i) send_message(other_client);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(session.expect_frame().frame().conn(), conn_of_other);
}

TEST_F(edge_load, do_not_count_replayed_frames_twice) {
  options.overload_least = options.overload_most = 3;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  for (int i = 0; i < 2; ++i) send_message(client);
  for (int i = 0; i < 2; ++i) session.expect_frame();
  session.cut();
  for (int i = 0; i < 2; ++i) session.expect_frame();
  send_message(client);
  EXPECT_EQ(session.expect_frame().frame().seq(), 3U);
  send_message(client);
  EXPECT_EQ(client.next_ack().error->code, 5104);
}

TEST_F(edge_load, switch_off_each_command_in_both_encodings) {
  options.max_bad_frames = 1000;
  for (const wire::command& one : wire::commands()) {
    const bool basic = one.type == frame_type::ack || one.type == frame_type::auth;
    if (!basic) options.disabled_commands.emplace_back(one.name);
  }
  start();
  double expected = 0;
  for (const auto enc : {encoding::thrift, encoding::json}) {
    uint64_t conn = 0;
    auto client = logged_on(enc, conn);
    for (const wire::command& one : wire::commands()) {
      if (one.type == frame_type::ack || one.type == frame_type::auth) continue;
      const bool big = static_cast<uint8_t>(one.type) >= 95;
      client.send_bytes(one.type, big ? std::string("\x00\x00\x00\x14node|", 9) : std::string());
      const auto ack = client.next_ack();
      EXPECT_EQ(ack.tim_type, static_cast<int8_t>(one.type)) << one.name;
      EXPECT_EQ(ack.error->code, 4107) << one.name;
      if (big) client.ws().send("0123456789");  // the rest of it is no frame
      ++expected;
    }
    for (const auto type : {frame_type::reg, frame_type::token}) {
      EXPECT_EQ(account_call(port(), type, enc, "alice", "secret").status, 403);
      ++expected;
    }
  }
  EXPECT_EQ(refused("disabled"), expected);
  EXPECT_EQ(refused("malformed") + refused("not_offered"), 0);
  EXPECT_TRUE(session.nothing([](const auto& one) { return one.has_frame() || one.has_account_call(); }));
}

TEST_F(edge_load, switch_off_logins) {
  options.disabled_commands = {"auth"};
  start();
  tim_client client(port(), encoding::json);
  EXPECT_EQ(client.login("alice", "secret").error->code, 4107);
}

TEST_F(edge_load, refuse_to_start_with_a_command_that_is_none_or_cannot_be_off) {
  for (const char* name : {"messages", "MESSAGE", "", "90", "ack"}) {
    options.disabled_commands = {"register", name};
    EXPECT_EQ(start_code(), errc::config) << name;
  }
}

TEST_F(edge_load, count_every_refusal_by_its_reason) {
  options.origins = {"https://chat.example"};
  options.request_rate_per_second = 1;
  options.request_burst = 4;
  start();
  EXPECT_EQ(ws_client(port()).status(), 403);
  EXPECT_EQ(refused("origin"), 1);
  const std::string origin = "Origin: https://chat.example\r\n";
  ws_client text(port(), origin);
  text.send_text("{}");
  EXPECT_TRUE(text.wait_close());
  EXPECT_EQ(refused("transport"), 1);
  ws_client early(port(), origin);
  early.send(client_frame(frame_type::message, encoding::thrift, message_of(encoding::thrift)));
  EXPECT_TRUE(early.wait_close());
  EXPECT_EQ(refused("before_login"), 1);
  session.answer_logins(false);
  ws_client wrong(port(), origin);
  wrong.send(client_frame(frame_type::auth, encoding::json, R"({"name":"","pwd":"x"})"));
  EXPECT_TRUE(wrong.receive());
  EXPECT_EQ(refused("login"), 1);
  session.answer_logins(true);
  ws_client bad(port(), origin);
  bad.send(client_frame(frame_type::auth, encoding::json, R"({"name":"alice","pwd":"x"})"));
  EXPECT_TRUE(bad.receive());
  bad.send("");
  EXPECT_TRUE(bad.receive());
  EXPECT_EQ(refused("malformed"), 1);
  bad.send("\x14");  // LOGOUT
  EXPECT_TRUE(bad.receive());
  EXPECT_EQ(refused("not_offered"), 1);
  for (int i = 0; i < 10; ++i) bad.send("\x0d");
  EXPECT_TRUE(bad.wait_close());
  EXPECT_EQ(refused("rate"), 1);
}

}  // namespace
}  // namespace tern::testing

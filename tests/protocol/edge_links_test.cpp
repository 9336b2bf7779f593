// Links to session nodes: breaks, new owners, replay, no owner; HTTP calls; drain.
#include <thread>

#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

class edge_links : public edge_test {
 protected:
  void send_message(tim_client& client, std::string_view text) {
    client.send_bytes(frame_type::message, message_bytes(0, text));
  }
};

TEST_F(edge_links, bind_again_and_replay_what_was_not_confirmed_after_a_break) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.acknowledge_by_itself(false);
  for (const char* text : {"one", "two", "three"}) send_message(client, text);
  for (int i = 0; i < 3; ++i) session.expect_frame();
  session.send_out(conn, frame_type::message, message_bytes(4, "x"), message_ref(9, 4), 1);
  session.send_out(conn, frame_type::message, message_bytes(5, "x"), message_ref(9, 5));
  ASSERT_TRUE(client.next());
  ASSERT_TRUE(client.next());
  session.cut();
  const auto bind = session.expect_bind().bind();
  EXPECT_EQ(bind.conn(), conn);
  EXPECT_FALSE(bind.fresh());
  EXPECT_EQ(bind.next_seq(), 2U);
  EXPECT_EQ(bind.epoch(), 1U);
  ASSERT_EQ(bind.unacked_size(), 2);
  ASSERT_EQ(bind.written_size(), 1);
  EXPECT_EQ(bind.written(0).mid(), 5U);
  EXPECT_EQ(session.expect_frame().frame().seq(), 2U);
  EXPECT_EQ(session.expect_frame().frame().seq(), 3U);
  send_message(client, "four");
  EXPECT_EQ(session.expect_frame().frame().seq(), 4U);
}

TEST_F(edge_links, hand_a_terminal_to_a_new_owner_and_drop_what_the_old_one_still_says) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  send_message(client, "one");
  session.expect_frame();
  routing.publish("session-1", 2, {"session-0", "session-1"});
  const auto bind = other.expect_bind().bind();
  EXPECT_EQ(bind.conn(), conn);
  EXPECT_EQ(bind.epoch(), 2U);
  EXPECT_EQ(other.expect_frame().frame().seq(), 1U);
  session.send_out(conn, frame_type::message, message_bytes(1, "from the old owner"), message_ref(1, 1));
  EXPECT_FALSE(client.next(silence));
  other.send_out(conn, frame_type::message, message_bytes(1, "from the new owner"), message_ref(1, 1));
  const auto frame = client.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(client.read<wire::tim_message>(*frame).data_string, "from the new owner");
}

TEST_F(edge_links, drop_a_delivery_the_owner_sent_before_it_saw_the_bind) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  session.answer_binds(false);
  routing.publish("session-0", 2, {"session-0"});  // the same node, a new epoch, the same stream
  session.expect_bind();
  session.send_out(conn, frame_type::message, message_bytes(1, "too early"), message_ref(1, 1));
  fake_session::answer result;
  result.mutable_bind_result()->set_conn(conn);
  session.send(result);
  session.send_out(conn, frame_type::message, message_bytes(1, "again"), message_ref(1, 1));
  const auto frame = client.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(client.read<wire::tim_message>(*frame).data_string, "again");
}

TEST_F(edge_links, try_a_bind_again_until_the_owner_knows_that_it_is_one) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  session.answer_binds(false);
  session.cut();
  for (int i = 0; i < 3; ++i) {
    session.expect_bind();
    fake_session::answer result;
    result.mutable_bind_result()->set_conn(conn);
    result.mutable_bind_result()->set_code(static_cast<int32_t>(errc::wrong_owner));
    session.answer_binds(i == 2);
    session.send(result);
  }
  session.expect_bind();
  send_message(client, "one");
  EXPECT_EQ(session.expect_frame().frame().seq(), 1U);
}

TEST_F(edge_links, keep_clients_and_their_frames_while_nobody_owns_them) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  routing.publish({}, 0, {});  // the session node is gone
  EXPECT_FALSE(client.ws().wait_close(silence));
  send_message(client, "one");
  client.send_bytes(frame_type::ping, {});
  EXPECT_TRUE(client.next(frame_type::ping));
  routing.publish("session-1", 2, {"session-1"});
  EXPECT_EQ(other.expect_bind().bind().next_seq(), 1U);
  EXPECT_EQ(other.expect_frame().frame().seq(), 1U);
}

TEST_F(edge_links, tell_the_new_owner_what_was_acknowledged_between_owners) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.acknowledge_by_itself(false);
  session.send_out(conn, frame_type::message, message_bytes(1, "x"), message_ref(1, 1));
  ASSERT_TRUE(client.next());
  routing.publish({}, 0, {});
  ASSERT_TRUE(session.nothing([](const auto& one) { return one.has_acked(); }));
  client.acknowledge(1);
  client.send_bytes(frame_type::ping, {});
  ASSERT_TRUE(client.next(frame_type::ping));
  routing.publish("session-1", 2, {"session-1"});
  EXPECT_EQ(other.expect_bind().bind().unacked_size(), 1);
  EXPECT_EQ(other.expect([](const auto& one) { return one.has_acked(); }).acked().refs(0).mid(), 1U);
}

TEST_F(edge_links, answer_5104_and_close_when_nobody_takes_a_login) {
  options.owner_timeout = std::chrono::milliseconds{300};
  start(false);
  tim_client client(port(), encoding::json);
  const auto answer = client.login("alice", "secret");
  EXPECT_FALSE(answer.ok);
  EXPECT_EQ(answer.error->code, 5104);
  EXPECT_TRUE(client.ws().wait_close());
}

TEST_F(edge_links, take_back_a_login_granted_after_the_client_was_given_up) {
  options.owner_timeout = std::chrono::milliseconds{300};
  start();
  session.answer_logins(false);
  tim_client client(port(), encoding::thrift);
  wire::tim_auth auth;
  auth.name = "alice";
  auth.pwd = "secret";
  client.send(frame_type::auth, auth);
  const auto login = session.expect_login().login();
  EXPECT_FALSE(client.next_ack().ok);  // from here on the client does not read: the connection is only half closed
  fake_session::answer late;
  late.mutable_login_result()->set_conn(login.conn());
  late.mutable_login_result()->set_account(login.slot_key());
  session.send(late);
  const auto closed =
      session.expect([&](const auto& one) { return one.has_closed() && one.closed().account() == login.slot_key(); });
  EXPECT_EQ(closed.closed().conn(), login.conn());
}

TEST_F(edge_links, write_no_delivery_that_was_sent_before_the_owner_saw_the_bind) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  session.answer_binds(false);
  routing.publish("session-0", 2, {"session-0"});
  session.expect_bind();
  // The owner finds it in no list of the Bind and sends it again: once is what the client is to see.
  session.send_out(conn, frame_type::message, message_bytes(4, "x"), message_ref(9, 4));
  EXPECT_FALSE(client.next(silence));
  fake_session::answer result;
  result.mutable_bind_result()->set_conn(conn);
  session.send(result);
  session.send_out(conn, frame_type::message, message_bytes(4, "x"), message_ref(9, 4));
  EXPECT_TRUE(client.next(frame_type::message));
  EXPECT_FALSE(client.next(silence));
}

TEST_F(edge_links, log_in_as_soon_as_somebody_owns_the_account) {
  start(false);
  tim_client client(port(), encoding::json);
  wire::tim_auth auth;
  auth.name = "alice";
  auth.pwd = "secret";
  client.send(frame_type::auth, auth);
  EXPECT_FALSE(client.next(silence));
  routing.publish("session-0", 1, {"session-0"});
  EXPECT_TRUE(client.next_ack().ok);
}

TEST_F(edge_links, repeat_a_login_whose_answer_the_break_took) {
  start();
  session.answer_logins(false);
  tim_client client(port(), encoding::thrift);
  wire::tim_auth auth;
  auth.name = "alice";
  auth.pwd = "secret";
  client.send(frame_type::auth, auth);
  session.expect_login();
  session.answer_logins(true);
  session.cut();
  EXPECT_TRUE(client.next_ack().ok);
}

// ---- HTTP
// -----------------------------------------------------------------------------------------------------------

TEST_F(edge_links, pass_registrations_on_and_answer_in_the_callers_encoding) {
  start();
  for (const auto enc : {encoding::thrift, encoding::json}) {
    wire::tim_auth auth;
    auth.name = "alice";
    auth.pwd = "secret";
    const std::string body = client_frame(frame_type::reg, enc, wire::encode(enc, auth));
    raw_socket socket(port());
    socket.write("POST /tim2 HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                 body);
    const auto call = session.expect([](const auto& one) { return one.has_account_call(); }).account_call();
    EXPECT_EQ(call.kind(), session::v1::AccountCall::REGISTER);
    EXPECT_EQ(call.name_key().size(), 32U);
    fake_session::answer result;
    result.mutable_account_result()->set_call(call.call());
    result.mutable_account_result()->set_text("a node");
    session.send(result);
    std::string answer;
    while (answer.find("a node") == std::string::npos && socket.read_some(answer, patience)) {
    }
    EXPECT_EQ(answer.substr(0, 15), "HTTP/1.1 200 OK");
    EXPECT_NE(answer.find(std::string("\r\n\r\n\x0c")), std::string::npos);
  }
}

TEST_F(edge_links, refuse_what_is_no_registration) {
  start();
  EXPECT_EQ(http_request(port(), "POST", "/tim2", "").status, 400);
  EXPECT_EQ(http_request(port(), "POST", "/tim2", "\x5a").status, 400);
  EXPECT_EQ(http_request(port(), "POST", "/tim2", "\x0e garbage").status, 400);
  EXPECT_EQ(http_request(port(), "POST", "/tim2", "\x8e{}").status, 200);
  EXPECT_EQ(account_call(port(), frame_type::reg, encoding::json, std::string(65, 'x'), "secret").code, 4104);
  EXPECT_EQ(account_call(port(), frame_type::token, encoding::json, "alice", "").code, 4102);
  EXPECT_EQ(http_request(port(), "POST", "/tim2", std::string(70'000, 'x')).status, 413);
  EXPECT_EQ(http_request(port(), "GET", "/tim2").status, 405);
  EXPECT_EQ(http_request(port(), "POST", "/elsewhere", "\x0e").status, 404);
}

TEST_F(edge_links, answer_503_when_nobody_takes_a_registration) {
  options.owner_timeout = std::chrono::milliseconds{300};
  start(false);
  const auto answer = account_call(port(), frame_type::reg, encoding::thrift, "alice", "secret");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.code, 5104);
}

TEST_F(edge_links, serve_the_page_with_a_content_security_policy) {
  start();
  for (const char* path : {"/", "/app.js", "/protocol.js", "/style.css", "/icon.svg"}) {
    const auto answer = http_request(port(), "GET", path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_FALSE(answer.body.empty());
    EXPECT_NE(answer.fields.at("content-security-policy").find("default-src 'none'"), std::string::npos);
  }
  EXPECT_EQ(http_request(port(), "GET", "/../etc/passwd").status, 404);
}

// ---- start
// ----------------------------------------------------------------------------------------------------------

TEST_F(edge_links, refuse_to_start_without_the_certificate_they_were_told_of) {
  options.tls_certificate_file = options.tls_key_file = "/nowhere/to/be/found.pem";
  EXPECT_EQ(start_code(), errc::config);
}

TEST_F(edge_links, refuse_to_start_at_an_address_in_use) {
  start();
  options.listen_address = "127.0.0.1:" + std::to_string(port());
  EXPECT_EQ(start_code(), errc::config);
}

TEST_F(edge_links, refuse_options_that_contradict_each_other) {
  options.tls_certificate_file = "only-one.pem";
  EXPECT_EQ(start_code(), errc::config);
  options.tls_certificate_file.clear();
  options.disabled_commands = {"no-such-command"};
  EXPECT_EQ(start_code(), errc::config);
}

// ---- drain
// ----------------------------------------------------------------------------------------------------------

TEST_F(edge_links, close_clients_with_1001_when_they_are_drained) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  const uint16_t where = port();
  std::optional<uint16_t> code;
  std::thread reader([&] { code = client.ws().wait_close(); });
  drain(std::chrono::milliseconds{5000});
  reader.join();
  EXPECT_EQ(code, 1001);
  EXPECT_FALSE(raw_socket(where).is_open());
}

}  // namespace
}  // namespace tern::testing

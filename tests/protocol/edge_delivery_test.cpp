// Logins, deliveries with acknowledgements, slow consumers, transcoding: one gateway, one session node.
#include <thread>

#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

class edge_delivery : public edge_test {};

TEST_F(edge_delivery, send_the_login_with_its_name_key_and_answer_with_the_node) {
  start();
  tim_client client(port(), encoding::json);
  wire::tim_auth auth;
  auth.name = "alice";
  auth.pwd = "secret";
  auth.resource = "phone";
  auth.termtyp = int8_t{2};
  const auto ack = client.login(auth);
  EXPECT_TRUE(ack.ok);
  EXPECT_EQ(ack.tim_type, 16);
  const auto login = session.expect_login().login();
  EXPECT_EQ(login.name_key().size(), 32U);
  EXPECT_EQ(login.password(), "secret");
  EXPECT_EQ(login.resource(), "phone");
  EXPECT_EQ(login.termtyp(), 2);
  EXPECT_TRUE(login.json());
  EXPECT_EQ(login.address(), "127.0.0.1");
  EXPECT_EQ(ack.n, to_node(account_id{login.slot_key()}));
  EXPECT_TRUE(ack.t);
  EXPECT_TRUE(ack.n2);
}

TEST_F(edge_delivery, answer_a_second_auth_of_the_same_account_ok_and_of_another_4105) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  EXPECT_TRUE(client.login("alice", "secret").ok);
  const auto refused = client.login("bob", "secret");
  EXPECT_FALSE(refused.ok);
  EXPECT_EQ(refused.error->code, 4105);
}

TEST_F(edge_delivery, refuse_names_that_cannot_be_without_asking_anybody) {
  start();
  for (const std::string& name : {std::string(65, 'x'), std::string("a\tb"), std::string("\x7f"), std::string()}) {
    tim_client client(port(), encoding::thrift);
    EXPECT_EQ(client.login(name, "secret").error->code, 4105);
  }
  tim_client client(port(), encoding::thrift);
  wire::tim_auth auth;
  auth.token = "0OIl";
  EXPECT_EQ(client.login(auth).error->code, 4115);
  EXPECT_TRUE(session.nothing([](const auto& one) { return one.has_login(); }));
}

TEST_F(edge_delivery, pass_on_a_refused_login_and_close_after_three) {
  start();
  session.answer_logins(false);
  tim_client client(port(), encoding::thrift);
  for (int i = 0; i < 3; ++i) {
    wire::tim_auth auth;
    auth.name = "alice";
    auth.pwd = "wrong";
    client.send(frame_type::auth, auth);
    fake_session::answer result;
    result.mutable_login_result()->set_conn(session.expect_login().login().conn());
    result.mutable_login_result()->set_code(4105);
    session.send(result);
    EXPECT_EQ(client.next_ack().error->code, 4105);
  }
  EXPECT_TRUE(client.ws().wait_close());
}

TEST_F(edge_delivery, continue_a_redirected_login_where_the_account_is) {
  start();
  session.answer_logins(false);
  tim_client client(port(), encoding::thrift);
  wire::tim_auth auth;
  auth.name = "alice";
  auth.pwd = "secret";
  client.send(frame_type::auth, auth);
  const uint64_t conn = session.expect_login().login().conn();
  fake_session::answer result;
  result.mutable_login_result()->set_conn(conn);
  result.mutable_login_result()->set_redirect(true);
  result.mutable_login_result()->set_account(77);
  result.mutable_login_result()->set_login_ns(5);
  session.send(result);
  const auto bind = session.expect_bind().bind();
  EXPECT_TRUE(bind.fresh());
  EXPECT_EQ(bind.account(), 77U);
  EXPECT_EQ(bind.login_ns(), 5);
  EXPECT_EQ(client.next_ack().n, to_node(account_id{77}));
}

TEST_F(edge_delivery, number_frames_and_bring_json_to_thrift) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::json, conn);
  client.send_bytes(frame_type::message,
                    R"({"MSTYPE":2,"odType":1,"toTid":{"node":"x"},"dataString":"h\u00e9","nope":[1]})");
  client.send_bytes(frame_type::pullmessage, R"({"rtype":1})");
  const auto first = session.expect_frame().frame();
  EXPECT_EQ(first.conn(), conn);
  EXPECT_EQ(first.seq(), 1U);
  EXPECT_EQ(first.type(), 90U);
  EXPECT_NE(first.received_ns(), 0);
  wire::arena memory;
  const auto message = wire::decode<wire::tim_message>(encoding::thrift, first.payload(), memory);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->data_string, "h\xc3\xa9");
  EXPECT_EQ(session.expect_frame().frame().seq(), 2U);
}

TEST_F(edge_delivery, bring_thrift_payloads_to_json_terminals_and_leave_them_to_thrift_ones) {
  start();
  for (const auto enc : {encoding::json, encoding::thrift}) {
    uint64_t conn = 0;
    auto client = logged_on(enc, conn);
    session.send_out(conn, frame_type::message, message_bytes(9, "hello"), message_ref(1, 9));
    const auto frame = client.next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->type, frame_type::message);
    EXPECT_EQ(frame->sync_id, 1);
    const auto message = client.read<wire::tim_message>(*frame);
    EXPECT_EQ(message.mid, 9);
    EXPECT_EQ(message.data_string, "hello");
    const auto acked = session.expect([](const auto& one) { return one.has_acked(); }).acked();
    EXPECT_EQ(acked.conn(), conn);
    ASSERT_EQ(acked.refs_size(), 1);
    EXPECT_EQ(acked.refs(0).mid(), 9U);
    EXPECT_EQ(acked.refs(0).conversation().hi(), 1U);
  }
}

TEST_F(edge_delivery, keep_at_most_64_deliveries_unacknowledged) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.acknowledge_by_itself(false);
  for (uint64_t mid = 1; mid <= 70; ++mid) {
    session.send_out(conn, frame_type::message, message_bytes(mid, "x"), message_ref(1, mid));
  }
  for (int32_t i = 1; i <= 64; ++i) {
    const auto frame = client.next();
    ASSERT_TRUE(frame);
    ASSERT_EQ(frame->sync_id, i);
  }
  EXPECT_FALSE(client.next(silence));
  client.acknowledge(10);
  const auto frame = client.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(client.read<wire::tim_message>(*frame).mid, 65);
}

TEST_F(edge_delivery, let_frames_without_acknowledgement_pass_a_full_window) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.acknowledge_by_itself(false);
  for (uint64_t mid = 1; mid <= 70; ++mid) {
    session.send_out(conn, frame_type::message, message_bytes(mid, "x"), message_ref(1, mid));
  }
  session.send_out(conn, frame_type::offlinemsgend, {});
  EXPECT_TRUE(client.next(frame_type::offlinemsgend));
}

TEST_F(edge_delivery, close_after_a_few_acknowledgements_of_nothing) {
  start();
  uint64_t conn = 0, conn_of_other = 0;
  auto client = logged_on(encoding::thrift, conn);
  auto neighbour = logged_on(encoding::thrift, conn_of_other, "bob");
  neighbour.acknowledge_by_itself(false);
  session.send_out(conn_of_other, frame_type::message, message_bytes(1, "x"), message_ref(1, 1));
  ASSERT_TRUE(neighbour.next());
  client.acknowledge(1);  // the neighbour's
  for (const size_t size : {0U, 1U, 2U, 3U, 5U, 60'000U}) client.send_bytes(frame_type::ack, std::string(size, '\0'));
  EXPECT_FALSE(client.ws().wait_close(silence));
  client.acknowledge(-1);
  EXPECT_EQ(client.ws().wait_close(), 1008);
  EXPECT_TRUE(session.nothing([](const auto& one) { return one.has_acked(); }));
}

TEST_F(edge_delivery, close_a_client_that_acknowledges_nothing_for_too_long) {
  options.ack_timeout = std::chrono::milliseconds{300};
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.acknowledge_by_itself(false);
  session.send_out(conn, frame_type::message, message_bytes(1, "x"), message_ref(1, 1));
  ASSERT_TRUE(client.next());
  EXPECT_EQ(client.ws().wait_close(), 1008);
  EXPECT_EQ(session.expect_closed().closed().conn(), conn);
}

TEST_F(edge_delivery, close_a_client_with_too_many_deliveries_waiting) {
  options.waiting_frames = 10;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.acknowledge_by_itself(false);
  for (uint64_t mid = 1; mid <= 75; ++mid) {
    session.send_out(conn, frame_type::message, message_bytes(mid, "x"), message_ref(1, mid));
  }
  EXPECT_TRUE(client.ws().wait_close());
}

TEST_F(edge_delivery, cut_off_a_client_that_does_not_read) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  // The kernels' buffers take some MiB before anything queues here; nothing is read meanwhile.
  const std::string payload = message_bytes(1, std::string(60'000, 'x'));
  for (int i = 0; i < 400; ++i) session.send_out(conn, frame_type::message, payload);
  EXPECT_EQ(session.expect_closed().closed().conn(), conn);
}

TEST_F(edge_delivery, stop_reading_a_client_whose_commands_are_not_confirmed) {
  options.request_rate_per_second = 0;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  // Frames large enough that one read of the socket does not hold them all.
  const std::string payload = message_bytes(0, std::string(30'000, 'x'));
  const uint64_t total = 300;
  std::thread sender([&] {
    for (uint64_t i = 0; i < total; ++i) client.send_bytes(frame_type::message, payload);
  });
  uint64_t got = 0;
  while (got < 64) got = session.expect_frame().frame().seq();
  EXPECT_TRUE(session.nothing([](const auto& one) { return one.has_frame() && one.frame().seq() > 70; }));
  while (got < total) {
    session.confirm(conn, got);
    got = session.expect_frame().frame().seq();
  }
  sender.join();
}

TEST_F(edge_delivery, log_a_terminal_out_when_the_session_says_so) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::json, conn);
  fake_session::answer order;
  order.mutable_close()->set_conn(conn);
  order.mutable_close()->set_code(4111);
  order.mutable_close()->set_logout(true);
  session.send(order);
  const auto frame = client.next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, frame_type::logout);
  const auto ack = client.read<wire::tim_ack>(*frame);
  EXPECT_EQ(ack.tim_type, 20);
  EXPECT_EQ(ack.error->code, 4111);
  EXPECT_EQ(client.ws().wait_close(), 1000);
}

TEST_F(edge_delivery, tell_the_session_when_the_client_has_gone) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.ws().socket().close();
  EXPECT_EQ(session.expect_closed().closed().conn(), conn);
}

}  // namespace
}  // namespace tern::testing

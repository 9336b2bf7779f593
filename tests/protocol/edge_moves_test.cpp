// A range that gets a new owner under traffic: who is listened to, who is told what, and how soon.
#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;
using item = fake_session::item;

const char* const rejected_by_epoch = "tern_gateway_frames_rejected_total{reason=\"epoch\"}";

class edge_moves : public edge_test {
 protected:
  void SetUp() override {
    start();
    client.emplace(logged_on(encoding::thrift, conn));
    client->acknowledge_by_itself(false);
    routing.publish("session-0", 1, {"session-0", "session-1"});
    other.wait_stream();
  }
  void move() { routing.publish("session-1", 2, {"session-0", "session-1"}); }
  void say(std::string_view text) { client->send_bytes(frame_type::message, message_bytes(0, text)); }
  void answer_bind(fake_session& by, errc code, uint64_t epoch = 0) {
    fake_session::answer result;
    result.mutable_bind_result()->set_conn(conn);
    result.mutable_bind_result()->set_code(static_cast<int32_t>(code));
    result.mutable_bind_result()->set_epoch(epoch);
    by.send(result);
  }
  /// Everything a session node may say to a terminal, but to close it.
  size_t say_everything(fake_session& by) {
    by.send_out(conn, frame_type::message, message_bytes(9, "a delivery"), message_ref(1, 9));
    auto receipt = message_ref(1, 10);
    receipt.set_kind(session::v1::DeliveryRef::RECEIPT);
    by.send_out(conn, frame_type::message, message_bytes(10, "a receipt"), receipt, 1);
    by.confirm(conn, 1);
    by.send_room(77, 3, {conn}, "of a room");
    by.send_out(conn, frame_type::ack, wire::encode(encoding::thrift, wire::tim_ack{}), {}, 1);
    answer_bind(by, errc::wrong_owner, 1);
    answer_bind(by, errc::ok, 1);
    return 7;
  }

  std::optional<tim_client> client;
  uint64_t conn = 0;
};

TEST_F(edge_moves, let_nothing_through_of_an_owner_that_slept_through_its_end) {
  say("one");
  session.expect_frame();
  move();
  EXPECT_EQ(other.expect_bind().bind().epoch(), 2U);
  EXPECT_EQ(other.expect_frame().frame().seq(), 1U);
  other.forget();
  const double before = metric(rejected_by_epoch);
  const size_t said = say_everything(session);
  fake_session::answer order;
  order.mutable_close()->set_conn(conn);
  order.mutable_close()->set_logout(true);
  session.send(order);
  EXPECT_FALSE(client->next(silence));
  EXPECT_FALSE(client->ws().wait_close(silence));
  EXPECT_EQ(metric(rejected_by_epoch), before + static_cast<double>(said) + 1);
  // What it confirmed is not confirmed: the owner is asked again if its link breaks now.
  EXPECT_TRUE(other.nothing([](const item& one) { return one.has_bind(); }));
  other.cut();
  EXPECT_EQ(other.expect_bind().bind().next_seq(), 1U);
  EXPECT_EQ(other.expect_frame().frame().seq(), 1U);
}

TEST_F(edge_moves, let_nothing_through_of_the_old_owner_while_the_new_one_has_not_answered) {
  other.answer_binds(false);
  say("one");
  session.expect_frame();
  move();
  other.expect_bind();
  say_everything(session);
  EXPECT_FALSE(client->next(silence));
  answer_bind(other, errc::ok, 2);
  EXPECT_EQ(other.expect_frame().frame().seq(), 1U);
  other.send_out(conn, frame_type::message, message_bytes(9, "a delivery"), message_ref(1, 9));
  EXPECT_TRUE(client->next(frame_type::message));
  EXPECT_FALSE(client->next(silence));
}

TEST_F(edge_moves, take_nothing_of_an_earlier_ownership_of_the_same_node) {
  session.answer_binds(false);
  say("one");
  session.expect_frame();
  routing.publish("session-0", 3, {"session-0", "session-1"});
  session.expect_bind();
  say_everything(session);  // with an answer to a Bind of epoch 1
  EXPECT_FALSE(client->next(silence));
  session.expect_bind();  // after the refusal among them
  answer_bind(session, errc::ok, 3);
  EXPECT_EQ(session.expect_frame().frame().seq(), 1U);
}

TEST_F(edge_moves, tell_acknowledgements_to_the_owner_only_and_behind_its_answer) {
  other.answer_binds(false);
  for (uint64_t mid = 1; mid <= 2; ++mid) {
    session.send_out(conn, frame_type::message, message_bytes(mid, "x"), message_ref(1, mid));
    ASSERT_TRUE(client->next());
  }
  move();
  EXPECT_EQ(other.expect_bind().bind().unacked_size(), 2);
  client->acknowledge(1);
  client->send_bytes(frame_type::ping, {});
  ASSERT_TRUE(client->next(frame_type::ping));
  const auto acked = [](const item& one) { return one.has_acked(); };
  EXPECT_TRUE(other.nothing(acked));
  // It refuses once: the next Bind still lists the delivery, since nobody has heard of the acknowledgement.
  answer_bind(other, errc::wrong_owner, 1);
  EXPECT_EQ(other.expect_bind().bind().unacked_size(), 2);
  answer_bind(other, errc::ok, 2);
  EXPECT_EQ(other.expect(acked).acked().refs(0).mid(), 1U);
  client->acknowledge(2);
  EXPECT_EQ(other.expect(acked).acked().refs(0).mid(), 2U);
  EXPECT_TRUE(session.nothing(acked));
}

TEST_F(edge_moves, count_a_list_as_written_once_it_is_acknowledged) {
  session::v1::DeliveryRef list = batch_ref(1, 40);
  list.mutable_conversation()->set_lo(2);
  session.send_out(conn, frame_type::offlinemsg, message_bytes(40, "x"), list);
  ASSERT_TRUE(client->next());
  client->acknowledge(1);
  session.expect([](const item& one) { return one.has_acked(); });
  move();
  const auto bind = other.expect_bind().bind();
  EXPECT_EQ(bind.unacked_size(), 0);
  ASSERT_EQ(bind.written_size(), 1);
  EXPECT_EQ(bind.written(0).mid(), 40U);
}

TEST_F(edge_moves, ask_again_within_milliseconds_when_the_new_owner_has_not_seen_the_map) {
  other.answer_binds(false);
  say("one");
  session.expect_frame();
  const auto began = std::chrono::steady_clock::now();
  move();
  for (int i = 0; i < 4; ++i) {
    other.expect_bind();
    answer_bind(other, errc::wrong_owner, 1);
  }
  other.expect_bind();
  EXPECT_LT(std::chrono::steady_clock::now() - began,
            std::chrono::milliseconds{250});  // 2 + 4 + 8 + 16 ms and the rest
  answer_bind(other, errc::ok, 2);
  EXPECT_EQ(other.expect_frame().frame().seq(), 1U);
}

TEST_F(edge_moves, follow_the_map_when_the_owner_itself_has_seen_it_first) {
  answer_bind(session, errc::wrong_owner, 2);  // as an owner says to its terminals when a range has left it
  session.answer_binds(false);
  say("one");
  move();
  other.expect_bind();
  EXPECT_EQ(other.expect_frame().frame().seq(), 1U);
}

TEST_F(edge_moves, bind_elsewhere_at_once_when_the_account_moved_while_it_logged_on) {
  session.answer_logins(false);
  tim_client late(port(), encoding::thrift);
  wire::tim_auth auth;
  auth.name = "bob";
  auth.pwd = "secret";
  late.send(frame_type::auth, auth);
  const auto login = session.expect_login().login();
  move();
  other.expect([&](const item& one) { return one.has_bind() && one.bind().conn() == conn; });
  fake_session::answer result;
  result.mutable_login_result()->set_conn(login.conn());
  result.mutable_login_result()->set_account(login.slot_key());
  result.mutable_login_result()->set_epoch(1);
  session.send(result);
  EXPECT_TRUE(late.next_ack().ok);
  const auto bind =
      other.expect([&](const item& one) { return one.has_bind() && one.bind().conn() == login.conn(); }).bind();
  EXPECT_FALSE(bind.fresh());
}

TEST_F(edge_moves, stay_where_they_are_when_only_their_neighbours_move) {
  routing.publish("session-0", 1, {"session-0", "session-1"});  // another version, the same range
  EXPECT_TRUE(session.nothing([](const item& one) { return one.has_bind(); }));
  say("one");
  EXPECT_EQ(session.expect_frame().frame().seq(), 1U);
}

}  // namespace
}  // namespace tern::testing

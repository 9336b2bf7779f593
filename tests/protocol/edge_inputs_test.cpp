// Wrong and hostile input behind a login: nothing is lost, nobody else is disturbed.
#include <random>

#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

class edge_inputs : public edge_test {
 protected:
  static void expect_ping(tim_client& client) {
    client.send_bytes(frame_type::ping, {});
    EXPECT_TRUE(client.next(frame_type::ping));
  }
};

TEST_F(edge_inputs, any_type_with_random_payloads_is_answered_or_forwarded) {
  options.max_bad_frames = options.max_bogus_acks = 65535;
  options.request_rate_per_second = 0;
  options.unconfirmed_frames = 4096;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  std::mt19937 random(1);
  for (int round = 0; round < 4; ++round) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      const unsigned type = byte & 0x7FU;
      if (type >= 95 && type <= 97) continue;  // announces bytes to come
      std::string frame(1 + random() % 40, '\0');
      for (char& each : frame) each = static_cast<char>(random());
      frame[0] = static_cast<char>(byte);
      client.ws().send(frame);
    }
  }
  expect_ping(client);
  EXPECT_FALSE(client.ws().ended());
}

TEST_F(edge_inputs, a_valid_message_cut_at_each_byte_is_refused_or_whole) {
  options.max_bad_frames = 65535;
  options.request_rate_per_second = 0;
  start();
  for (const auto enc : {encoding::thrift, encoding::json}) {
    uint64_t conn = 0;
    auto client = logged_on(enc, conn);
    wire::tim_message message;
    message.ms_type = 2;
    message.od_type = 1;
    message.data_string = "cut";
    const std::string whole = wire::encode(enc, message);
    for (size_t size = 0; size < whole.size(); ++size) {
      client.send_bytes(frame_type::message, std::string_view(whole).substr(0, size));
      EXPECT_EQ(client.next_ack().error->code, 4113) << size;
    }
    client.send_bytes(frame_type::message, whole);
    EXPECT_EQ(session.expect_frame().frame().seq(), 1U);
  }
}

TEST_F(edge_inputs, big_data_that_never_ends_leaves_nothing_when_its_client_goes) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.ws().send(std::string("\x60\x00\x01\x00\x00node\x83 and no more", 22));
  expect_ping(client);
  client.ws().socket().close();
  EXPECT_EQ(session.expect_closed().closed().conn(), conn);
}

TEST_F(edge_inputs, acknowledgements_of_old_future_and_wrapped_ids_settle_nothing) {
  options.max_bogus_acks = 100;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.acknowledge_by_itself(false);
  session.send_out(conn, frame_type::message, message_bytes(1, "x"), message_ref(1, 1));
  const auto frame = client.next();
  ASSERT_TRUE(frame && frame->sync_id);
  for (const int32_t id : {0, 2, -1, INT32_MAX, INT32_MIN, 0x01000000}) client.acknowledge(id);
  expect_ping(client);
  EXPECT_TRUE(session.nothing([](const auto& one) { return one.has_acked(); }));
  client.acknowledge(*frame->sync_id);
  EXPECT_EQ(session.expect([](const auto& one) { return one.has_acked(); }).acked().refs(0).mid(), 1U);
  client.acknowledge(*frame->sync_id);  // again
  expect_ping(client);
  EXPECT_TRUE(session.nothing([](const auto& one) { return one.has_acked(); }));
}

TEST_F(edge_inputs, an_acknowledgement_of_a_megabyte_closes_only_its_connection) {
  start();
  uint64_t conn = 0, conn_of_other = 0;
  auto client = logged_on(encoding::thrift, conn);
  auto neighbour = logged_on(encoding::thrift, conn_of_other, "bob");
  client.send_bytes(frame_type::ack, std::string(1'000'000, '\0'));
  EXPECT_TRUE(client.ws().wait_close());
  expect_ping(neighbour);
}

TEST_F(edge_inputs, a_flood_of_pipelined_messages_is_taken_in_order_as_they_are_confirmed) {
  options.request_rate_per_second = 0;
  options.unconfirmed_frames = 8;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  constexpr uint64_t count = 2000;
  for (uint64_t i = 0; i < count; ++i) {
    ASSERT_TRUE(client.send_bytes(frame_type::message, message_bytes(0, std::to_string(i))));
  }
  for (uint64_t i = 0; i < count; ++i) {
    const auto frame = session.expect_frame().frame();
    ASSERT_EQ(frame.seq(), i + 1);
    ASSERT_LE(session.frames(), 8U + 100U);  // a read that is under way is finished
    session.confirm(conn, frame.seq());
  }
}

TEST_F(edge_inputs, logins_after_a_logout_are_not_heard) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::json, conn);
  fake_session::answer order;
  order.mutable_close()->set_conn(conn);
  order.mutable_close()->set_logout(true);
  session.send(order);
  ASSERT_TRUE(client.next(frame_type::logout));
  wire::tim_auth auth;
  auth.name = "alice";
  auth.pwd = "secret";
  client.send(frame_type::auth, auth);
  EXPECT_TRUE(client.ws().wait_close());
  EXPECT_TRUE(session.nothing([](const auto& one) { return one.has_login(); }));
}

TEST_F(edge_inputs, a_client_that_goes_in_the_middle_of_a_frame_leaves_nothing) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.ws().socket().write("\x82\xfe");  // a masked frame of two length bytes, which never come
  client.ws().socket().close();
  EXPECT_EQ(session.expect_closed().closed().conn(), conn);
}

}  // namespace
}  // namespace tern::testing

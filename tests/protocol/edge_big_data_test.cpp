// Big data of a client at the gateway: one or many messages, what stands between them, and every bound.
#include <algorithm>
#include <cmath>

#include "libs/wire/big_data.hpp"
#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

class edge_big_data : public edge_test {
 protected:
  static std::string frame_of(frame_type type, std::string_view node, std::string_view data) {
    std::string out;
    EXPECT_TRUE(wire::write_big_request({type, node, data}, out));
    return out;
  }
  /// A header that announces `total` bytes, and what follows it.
  static std::string headed(frame_type type, uint32_t total, std::string_view rest) {
    std::string out(1, static_cast<char>(type));
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(total >> static_cast<unsigned>(shift));
    return out.append(rest);
  }
  static void send_in_pieces(tim_client& client, std::string_view frame, size_t size) {
    for (size_t at = 0; at < frame.size(); at += size) ASSERT_TRUE(client.ws().send(frame.substr(at, size)));
  }
  static void expect_ping(tim_client& client) {
    client.send_bytes(frame_type::ping, {});
    EXPECT_TRUE(client.next(frame_type::ping));
  }
  static void expect_refused(tim_client& client, frame_type type, int code) {
    const auto ack = client.next_ack();
    EXPECT_FALSE(ack.ok);
    EXPECT_EQ(ack.tim_type, static_cast<int8_t>(type));
    ASSERT_TRUE(ack.error);
    EXPECT_EQ(ack.error->code, code);
  }
  double ended(const std::string& how) { return metric("tern_gateway_big_data_total{result=\"" + how + "\"}"); }
};

TEST_F(edge_big_data, goes_to_the_session_owner_in_one_piece_in_both_encodings) {
  start();
  for (const auto enc : {encoding::thrift, encoding::json}) {
    uint64_t conn = 0;
    auto client = logged_on(enc, conn, enc == encoding::json ? "alice" : "bob");
    for (const auto type : {frame_type::bigstring, frame_type::bigbinary}) {
      const std::string frame = frame_of(type, "somenode", "some data");
      client.ws().send(frame);
      const auto got = session.expect_frame().frame();
      EXPECT_EQ(got.conn(), conn);
      EXPECT_EQ(got.type(), static_cast<uint32_t>(type));
      EXPECT_EQ(got.payload(), frame.substr(wire::big_head_bytes));
    }
    client.ws().send(std::string("\xdf\x00\x00\x00\x0bnode|x", 11));  // with the bit of JSON
    EXPECT_EQ(session.expect_frame().frame().payload(), "node|x");
  }
  EXPECT_EQ(ended("assembled"), 6);
}

TEST_F(edge_big_data, a_mebibyte_in_many_messages_arrives_whole_and_in_order_with_what_follows) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  std::string data(1 << 20, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>((i * 7919) >> 4U);
  for (const size_t piece : {65536U, 9999U}) {
    send_in_pieces(client, frame_of(frame_type::bigbinary, "node", data), piece);
    client.send_bytes(frame_type::message, message_bytes(0, "behind"));
    const auto got = session.expect_frame().frame();
    EXPECT_TRUE(got.payload() == "node\x83" + data) << got.payload().size();
    const auto next = session.expect_frame().frame();
    EXPECT_EQ(next.type(), 90U);
    EXPECT_EQ(next.seq(), got.seq() + 1);
    session.confirm(conn, next.seq());
  }
}

TEST_F(edge_big_data, a_ping_and_an_acknowledgement_between_its_messages_are_none_of_its_bytes) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.acknowledge_by_itself(false);
  session.send_out(conn, frame_type::message, message_bytes(1, "x"), message_ref(1, 1));
  const auto delivered = client.next(frame_type::message);
  ASSERT_TRUE(delivered && delivered->sync_id);
  const std::string frame = frame_of(frame_type::bigbinary, "node", "0123456789");
  client.ws().send(frame.substr(0, 12));
  client.ws().send("\x0d");
  EXPECT_TRUE(client.next(frame_type::ping));
  client.ws().send("\x8d");
  EXPECT_TRUE(client.next(frame_type::ping));
  client.acknowledge(*delivered->sync_id);
  EXPECT_EQ(session.expect([](const auto& one) { return one.has_acked(); }).acked().refs(0).mid(), 1U);
  client.ws().send("");
  client.ws().send(frame.substr(12));
  EXPECT_EQ(session.expect_frame().frame().payload(), frame.substr(wire::big_head_bytes));
}

TEST_F(edge_big_data, what_looks_like_an_acknowledgement_of_nothing_is_data) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  const std::string looks(std::string("\x0c\x00\x00\x00\x09", 5));
  const std::string frame = frame_of(frame_type::bigbinary, "node", looks);
  client.ws().send(frame.substr(0, frame.size() - looks.size()));
  client.ws().send(looks);
  EXPECT_EQ(session.expect_frame().frame().payload(), "node\x83" + looks);
  EXPECT_EQ(metric("tern_gateway_bogus_acks_total"), 0);
}

TEST_F(edge_big_data, headers_that_cannot_be_right_are_answered_and_the_next_message_is_a_frame) {
  options.max_bad_frames = 100;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  for (const auto type : {frame_type::bigstring, frame_type::bigbinary, frame_type::bigbinarystream}) {
    for (const uint32_t total : {0U, 5U, 6U, 12U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU, 11U << 20U}) {
      client.ws().send(headed(type, total, "node|data"));
      expect_refused(client, type, 4114);
    }
    for (const size_t size : {1U, 2U, 4U}) {
      client.ws().send(headed(type, 100, "").substr(0, size));
      expect_refused(client, type, 4114);
    }
    expect_ping(client);
  }
  EXPECT_EQ(session.frames(), 0U);
  EXPECT_EQ(metric("tern_gateway_big_data_held_bytes"), 0);
}

TEST_F(edge_big_data, without_a_node_it_is_answered_once_and_passed_over) {
  options.max_bad_frames = 100;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  const std::string bodies[] = {"|data and more data", std::string(65, 'n') + "|data", "no separator at all"};
  for (const std::string& body : bodies) {
    const std::string frame = headed(frame_type::bigstring, static_cast<uint32_t>(5 + body.size()), body);
    send_in_pieces(client, frame, 6);
    expect_refused(client, frame_type::bigstring, 4114);
    expect_ping(client);
  }
  EXPECT_EQ(session.frames(), 0U);
  EXPECT_EQ(ended("malformed"), 3);
}

TEST_F(edge_big_data, more_bytes_than_announced_are_answered_and_lost) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.ws().send(headed(frame_type::bigbinary, 12, "node\x83"));
  client.ws().send("123");
  expect_refused(client, frame_type::bigbinary, 4114);
  expect_ping(client);
  EXPECT_EQ(session.frames(), 0U);
}

TEST_F(edge_big_data, the_limit_is_held_to_the_byte_and_the_rest_passed_over) {
  options.big_data_bytes = 4096;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  for (const std::string& node : {std::string("n"), std::string(64, 'n')}) {
    send_in_pieces(client, frame_of(frame_type::bigstring, node, std::string(4096, 'x')), 1000);
    const auto whole = session.expect_frame().frame();
    EXPECT_EQ(whole.payload().size(), node.size() + 1 + 4096);
    session.confirm(conn, whole.seq());
    send_in_pieces(client, frame_of(frame_type::bigstring, node, std::string(4097, 'x')), 1000);
    expect_refused(client, frame_type::bigstring, 4114);
    expect_ping(client);
  }
  EXPECT_EQ(session.frames(), 0U);
  EXPECT_EQ(ended("too_large"), 2);
  EXPECT_FALSE(client.ws().ended()) << "too large is not malformed";
}

TEST_F(edge_big_data, one_message_may_carry_as_much_as_many) {
  options.big_data_bytes = 300'000;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  const std::string data(300'000, '\x5f');
  const std::string frame = frame_of(frame_type::bigbinary, "node", data);
  for (const size_t first : {frame.size(), size_t{20}, size_t{200'000}}) {
    client.ws().send(frame.substr(0, first));
    if (first < frame.size()) client.ws().send(frame.substr(first));
    const auto got = session.expect_frame().frame();
    EXPECT_TRUE(got.payload() == "node\x83" + data) << got.payload().size();
    session.confirm(conn, got.seq());
  }
  client.ws().send(frame_of(frame_type::bigbinary, "node", data + std::string(100, 'x')));
  EXPECT_EQ(client.ws().wait_close(), 1009);
}

TEST_F(edge_big_data, a_message_of_another_type_above_the_frame_limit_closes_as_always) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.ws().send(std::string(1, static_cast<char>(frame_type::message)) + std::string(70'000, 'x'));
  EXPECT_EQ(client.ws().wait_close(), 1009);
}

TEST_F(edge_big_data, before_login_closes) {
  start();
  tim_client client(port(), encoding::thrift);
  client.ws().send(frame_of(frame_type::bigstring, "node", "data"));
  EXPECT_EQ(client.ws().wait_close(), 1008);
}

TEST_F(edge_big_data, one_that_stalls_is_dropped_and_the_connection_goes_on) {
  options.big_data_timeout = std::chrono::milliseconds{300};
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.ws().send(headed(frame_type::bigstring, 1000, "node|data"));
  expect_refused(client, frame_type::bigstring, 4114);
  client.send_bytes(frame_type::message, message_bytes(0, "on"));
  EXPECT_EQ(session.expect_frame().frame().type(), 90U);
  EXPECT_EQ(ended("stalled"), 1);
}

TEST_F(edge_big_data, memory_of_all_connections_is_bounded_and_given_back) {
  options.big_data_bytes = 600'000;
  options.big_data_total_bytes = 1 << 20;
  start();
  uint64_t conn = 0, conn_of_neighbour = 0;
  auto client = logged_on(encoding::thrift, conn);
  auto neighbour = logged_on(encoding::thrift, conn_of_neighbour, "bob");
  const std::string frame = frame_of(frame_type::bigbinary, "node", std::string(600'000, 'x'));
  send_in_pieces(client, frame, 50'000);
  const auto first = session.expect_frame().frame();  // kept until it is confirmed
  EXPECT_GE(metric("tern_gateway_big_data_held_bytes"), 600'000);
  send_in_pieces(neighbour, frame, 50'000);
  expect_refused(neighbour, frame_type::bigbinary, 5104);
  expect_ping(neighbour);
  EXPECT_EQ(session.frames(), 0U);
  session.confirm(conn, first.seq());
  expect_ping(client);
  EXPECT_EQ(metric("tern_gateway_big_data_held_bytes"), 0);
  send_in_pieces(neighbour, frame, 50'000);
  EXPECT_EQ(session.expect_frame().frame().conn(), conn_of_neighbour);
  neighbour.ws().socket().close();
  session.expect_closed();
  expect_ping(client);
  EXPECT_EQ(ended("overload"), 1);
}

TEST_F(edge_big_data, too_much_of_one_connection_under_way_pauses_its_reading) {
  options.big_data_bytes = 100'000;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  const std::string frame = frame_of(frame_type::bigstring, "node", std::string(60'000, 'x'));
  constexpr uint64_t count = 40;
  for (uint64_t i = 0; i < count; ++i) ASSERT_TRUE(client.ws().send(frame));
  for (uint64_t i = 1; i <= count; ++i) {
    ASSERT_EQ(session.expect_frame().frame().seq(), i);
    ASSERT_LE(session.frames(), 12U);  // a read that is under way is finished
    session.confirm(conn, i);
  }
}

TEST_F(edge_big_data, what_is_not_confirmed_goes_again_to_the_next_owner) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  client.ws().send(frame_of(frame_type::bigstring, "node", "data"));
  EXPECT_FALSE(session.expect_frame().frame().again());
  session.cut();
  session.expect_bind();
  const auto again = session.expect_frame().frame();
  EXPECT_TRUE(again.again());
  EXPECT_EQ(again.payload(), "node|data");
}

TEST_F(edge_big_data, switched_off_it_is_swallowed_whole) {
  options.disabled_commands = {"bigstring", "bigbinarystream"};
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  for (const auto type : {frame_type::bigstring, frame_type::bigbinarystream}) {
    send_in_pieces(client, frame_of(type, "node", std::string(5000, '\x5f')), 1000);
    expect_refused(client, type, 4107);
    expect_ping(client);
    client.ws().send(headed(type, 3, "x"));
    expect_refused(client, type, 4114);
  }
  client.ws().send(frame_of(frame_type::bigbinary, "node", "data"));
  EXPECT_EQ(session.expect_frame().frame().type(), 96U);
  EXPECT_EQ(ended("disabled"), 2);
}

TEST_F(edge_big_data, its_messages_count_for_the_rate) {
  options.request_rate_per_second = 1;
  options.request_burst = 5;
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::json, conn);
  send_in_pieces(client, frame_of(frame_type::bigbinary, "node", std::string(100, '\x0c')), 10);
  expect_refused(client, frame_type::bigbinary, 5105);
  EXPECT_EQ(client.ws().wait_close(), 1008);
}

TEST_F(edge_big_data, a_stream_for_what_is_no_virtual_room_is_refused) {
  start();
  uint64_t conn = 0;
  auto client = logged_on(encoding::thrift, conn);
  send_in_pieces(client, frame_of(frame_type::bigbinarystream, "no node", std::string(3000, 'x')), 1000);
  expect_refused(client, frame_type::bigbinarystream, 4104);
  EXPECT_EQ(session.frames(), 0U);
  EXPECT_EQ(metric("tern_gateway_big_data_held_bytes"), 0);
}

}  // namespace
}  // namespace tern::testing

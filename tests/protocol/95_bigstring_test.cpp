#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

/// A header whose total length is said to be `total`, and what comes behind it.
std::string announced(uint32_t total, std::string_view rest) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(total >> static_cast<unsigned>(shift));
  return out.append(rest);
}

TEST_P(protocol, 95_bigstring_reaches_every_terminal_of_a_friend) {
  std::string bob_name;
  auto alice = new_user_in_half(false, 0);
  auto bob = new_user("bob", &bob_name);
  befriend(*alice, *bob);
  auto phone = log_in(bob_name);
  const std::string data = "a | b" + std::string(60'000, 'x');
  alice->send_bytes(frame_type::bigstring, big_payload(bob->node(), bar, data));
  for (auto* one : {bob.get(), phone.get()}) expect_big(*one, frame_type::bigstring, alice->node(), data);
  settle(*alice);
  expect_none(
      *alice, [](const server_frame& f) { return f.type == frame_type::ack || f.type == frame_type::bigstring; },
      "an answer");
  for (auto* one : {bob.get(), phone.get()}) expect_no_big(*one);
}

TEST_P(protocol, 95_bigstring_takes_a_zero_byte_for_the_separator) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  const std::string zeros("data\0with\0zeros|", 16);
  alice->send_bytes(frame_type::bigstring, big_payload(bob->node(), '\0', zeros));
  expect_big(*bob, frame_type::bigstring, alice->node(), zeros);
  const std::string none;
  alice->send_bytes(frame_type::bigstring, big_payload(bob->node(), bar, none));
  expect_big(*bob, frame_type::bigstring, alice->node(), none);
}

TEST_P(protocol, 95_bigstring_may_come_in_many_websocket_messages) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  const std::string small = "small";
  send_in_pieces(*alice, frame_type::bigstring, big_payload(bob->node(), bar, small), 7);
  expect_big(*bob, frame_type::bigstring, alice->node(), small);
  std::string large;
  while (large.size() < 900'000) large += std::to_string(large.size()) + " ";
  send_in_pieces(*alice, frame_type::bigstring, big_payload(bob->node(), bar, large), 10'000);
  expect_big(*bob, frame_type::bigstring, alice->node(), large);
  EXPECT_GT(send_text(*alice, bob->node(), "and what follows is a frame again"), 0);
}

TEST_P(protocol, 95_bigstring_lets_pings_and_acknowledgements_pass_between_its_pieces) {
  std::string name;
  auto alice = new_user("alice", &name);
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  alice->acknowledge_by_itself(false);
  const int64_t mid = send_text(*bob, alice->node(), "to be acknowledged");
  const auto delivered = alice->find([&](const server_frame& f) {
    return f.type == frame_type::message && alice->read<wire::tim_message>(f).data_string == "to be acknowledged";
  });
  ASSERT_TRUE(delivered && delivered->sync_id);
  const std::string data(3000, 'y');
  const std::string whole = client_frame(frame_type::bigstring, enc(), big_payload(bob->node(), bar, data));
  alice->ws().send(whole.substr(0, 1000));
  alice->send_bytes(frame_type::ping, {});
  ASSERT_TRUE(alice->find([](const server_frame& f) { return f.type == frame_type::ping; }));
  alice->ws().send(whole.substr(1000, 1000));
  alice->acknowledge(*delivered->sync_id);
  alice->ws().send(whole.substr(2000));
  expect_big(*bob, frame_type::bigstring, alice->node(), data);
  settle(*alice);
  alice.reset();
  alice = log_in(name);
  for (const auto& m : drain(*alice)) EXPECT_FALSE(m.mid == mid && m.from == bob->node()) << "it was acknowledged";
}

TEST_P(protocol, 95_bigstring_of_a_wrong_length_is_refused) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  const std::string rest = bob->node() + "|data";
  const auto total = static_cast<uint32_t>(5 + rest.size());
  // More bytes than announced, in one message and in two.
  alice->send_bytes(frame_type::bigstring, announced(total - 1, rest));
  expect_refused(*alice, frame_type::bigstring, 4114);
  alice->send_bytes(frame_type::bigstring, announced(total, rest.substr(0, 10)));
  alice->ws().send(rest.substr(10) + "!");
  expect_refused(*alice, frame_type::bigstring, 4114);
  for (const uint32_t length : {0U, 1U, 4U}) {
    alice->send_bytes(frame_type::bigstring, announced(length, rest));
    expect_refused(*alice, frame_type::bigstring, 4114);
  }
  // A header that is not whole.
  for (const std::string head : {"", "\x01", "\x01\x02\x03"}) {
    alice->send_bytes(frame_type::bigstring, head);
    expect_refused(*alice, frame_type::bigstring, 4114);
  }
  alice->send_bytes(frame_type::bigstring, big_payload(bob->node(), bar, "fine"));
  expect_big(*bob, frame_type::bigstring, alice->node(), "fine");
}

TEST_P(protocol, 95_bigstring_without_a_node_is_refused) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  alice->send_bytes(frame_type::bigstring, announced(static_cast<uint32_t>(5 + bob->node().size()), bob->node()));
  expect_refused(*alice, frame_type::bigstring, 4114);
  alice->send_bytes(frame_type::bigstring, big_payload("", bar, "data"));
  expect_refused(*alice, frame_type::bigstring, 4114);
  alice->send_bytes(frame_type::bigstring, big_payload(std::string(65, 'z'), bar, "data"));
  expect_refused(*alice, frame_type::bigstring, 4114);
  for (const std::string& node : {std::string("nonsense"), std::string(64, 'z'), to_node(room_id{5})}) {
    alice->send_bytes(frame_type::bigstring, big_payload(node, bar, "data"));
    expect_refused(*alice, frame_type::bigstring, 4106);
  }
  expect_no_big(*bob);
}

TEST_P(protocol, 95_bigstring_above_the_limit_is_refused_and_skipped) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  const std::string data(1'100'000, 'z');
  send_in_pieces(*alice, frame_type::bigstring, big_payload(bob->node(), bar, data), 50'000);
  expect_refused(*alice, frame_type::bigstring, 4114);
  EXPECT_GT(send_text(*alice, bob->node(), "the next frame"), 0);
  expect_no_big(*bob);
}

TEST_P(protocol, 95_bigstring_needs_the_rights_of_a_message) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  auto elsewhere = new_user("elsewhere", nullptr, "blue");
  alice->send_bytes(frame_type::bigstring, big_payload(bob->node(), bar, "stranger"));
  expect_refused(*alice, frame_type::bigstring, 4105);
  alice->send_bytes(frame_type::bigstring, big_payload(elsewhere->node(), bar, "other domain"));
  EXPECT_FALSE(alice->next_ack().ok);
  befriend(*alice, *bob);
  business(*bob, 7, alice->node());
  expect_ok(*bob, frame_type::business, 7);
  expect_notice(*alice, bob->node(), 7);
  alice->send_bytes(frame_type::bigstring, big_payload(bob->node(), bar, "blocked"));
  expect_refused(*alice, frame_type::bigstring, 4110);
  for (auto* one : {bob.get(), elsewhere.get()}) expect_no_big(*one);
}

TEST_P(protocol, 95_bigstring_is_not_kept_for_who_is_off_line) { expect_big_not_kept(frame_type::bigstring, bar); }

TEST_P(protocol, 95_96_97_before_login_end_the_connection) {
  for (const auto type : {frame_type::bigstring, frame_type::bigbinary, frame_type::bigbinarystream}) {
    ws_client stranger(port());
    ASSERT_EQ(stranger.status(), 101);
    stranger.send(client_frame(type, enc(), announced(30, "node")));
    EXPECT_TRUE(stranger.wait_close());
  }
}

}  // namespace
}  // namespace tern::testing

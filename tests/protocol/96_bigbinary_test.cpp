#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

TEST_P(protocol, 96_bigbinary_carries_every_byte_in_both_encodings) {
  auto alice = new_user_in_half(false, 0);
  auto bob = new_user_in_half(true, 1);
  befriend(*alice, *bob);
  std::string data;
  for (int i = 0; i < 100'000; ++i) data += static_cast<char>(i * 7 + i / 256);
  send_in_pieces(*alice, frame_type::bigbinary, big_payload(bob->node(), high_bar, data), 60'000);
  expect_big(*bob, frame_type::bigbinary, alice->node(), data);
  send_in_pieces(*bob, frame_type::bigbinary, big_payload(alice->node(), high_bar, data), 999);
  expect_big(*alice, frame_type::bigbinary, bob->node(), data);
  for (auto* one : {alice.get(), bob.get()}) expect_no_big(*one);
}

TEST_P(protocol, 96_bigbinary_has_one_separator_only) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  for (const char wrong : {bar, '\0', '\x03'}) {
    alice->send_bytes(frame_type::bigbinary, big_payload(bob->node(), wrong, "data"));
    expect_refused(*alice, frame_type::bigbinary, 4114);
  }
  alice->send_bytes(frame_type::bigbinary, big_payload("", high_bar, "data"));
  expect_refused(*alice, frame_type::bigbinary, 4114);
  alice->send_bytes(frame_type::bigbinary, big_payload(std::string(65, 'z'), high_bar, "data"));
  expect_refused(*alice, frame_type::bigbinary, 4114);
  const std::string separators(10, high_bar);
  alice->send_bytes(frame_type::bigbinary, big_payload(bob->node(), high_bar, separators));
  expect_big(*bob, frame_type::bigbinary, alice->node(), separators);
}

TEST_P(protocol, 96_bigbinary_keeps_its_place_among_messages) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  befriend(*alice, *bob);
  constexpr int count = 30;
  for (int i = 0; i < count; ++i) {
    const std::string data = std::to_string(i) + std::string(5000, 'x');
    send_in_pieces(*alice, frame_type::bigbinary, big_payload(bob->node(), high_bar, data), 3000);
    alice->send_bytes(frame_type::bigstring, big_payload(bob->node(), bar, data));
  }
  for (int i = 0; i < count; ++i) {
    const std::string data = std::to_string(i) + std::string(5000, 'x');
    expect_big(*bob, frame_type::bigbinary, alice->node(), data);
    expect_big(*bob, frame_type::bigstring, alice->node(), data);
  }
}

TEST_P(protocol, 96_bigbinary_needs_the_rights_of_a_message) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  alice->send_bytes(frame_type::bigbinary, big_payload(bob->node(), high_bar, "stranger"));
  expect_refused(*alice, frame_type::bigbinary, 4105);
  alice->send_bytes(frame_type::bigbinary, big_payload("nonsense", high_bar, "nobody"));
  expect_refused(*alice, frame_type::bigbinary, 4106);
  befriend(*alice, *bob);
  business(*bob, 6, alice->node());
  expect_ok(*bob, frame_type::business, 6);
  expect_notice(*alice, bob->node(), 6);
  alice->send_bytes(frame_type::bigbinary, big_payload(bob->node(), high_bar, "no friend any more"));
  expect_refused(*alice, frame_type::bigbinary, 4105);
  expect_no_big(*bob);
}

TEST_P(protocol, 96_bigbinary_is_not_kept_for_who_is_off_line) {
  expect_big_not_kept(frame_type::bigbinary, high_bar);
}

}  // namespace
}  // namespace tern::testing

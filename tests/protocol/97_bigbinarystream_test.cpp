#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

bool is_ack(const server_frame& frame) { return frame.type == frame_type::ack; }

TEST_P(protocol, 97_bigbinarystream_reaches_subscribers_in_their_form) {
  auto owner = new_user_in_half(false, 0);
  const std::string room = new_vroom(*owner);
  std::vector<client_ptr> viewers;
  for (size_t i = 0; i < 4; ++i) subscribe(*viewers.emplace_back(new_user_in_half(i < 2, i % 2)), room, i >= 2);
  std::string data;
  for (int i = 0; i < 60'000; ++i) data += static_cast<char>(i * 11 + i / 256);
  owner->send_bytes(frame_type::bigbinarystream, big_payload(room, high_bar, data));
  for (size_t i = 0; i < 4; ++i) {
    const auto got = next_push(*viewers[i]);
    EXPECT_EQ(got.binary, i >= 2);
    EXPECT_EQ(got.room, room);
    EXPECT_TRUE(got.body == data) << got.body.size() << " bytes instead of " << data.size();
    if (got.binary) continue;
    EXPECT_EQ(got.from, owner->node());
    EXPECT_EQ(got.dtype, -1);
    EXPECT_NE(got.id, 0);
  }
  push(*owner, room, "the next frame");
  for (auto& one : viewers) expect_push(*one, room, "the next frame");
  settle_room(*owner, room);
  expect_none(*owner, is_ack, "an answer");
}

TEST_P(protocol, 97_bigbinarystream_may_come_in_many_websocket_messages) {
  auto owner = new_user("owner");
  auto viewer = new_user("viewer");
  const std::string room = new_vroom(*owner);
  subscribe(*viewer, room, true);
  std::string data;
  while (data.size() < 700'000) data += std::to_string(data.size()) + high_bar;
  send_in_pieces(*owner, frame_type::bigbinarystream, big_payload(room, high_bar, data), 20'000);
  expect_push(*viewer, room, data);
  send_in_pieces(*owner, frame_type::bigbinarystream, big_payload(room, high_bar, "short"), 6);
  expect_push(*viewer, room, "short");
}

TEST_P(protocol, 97_bigbinarystream_keeps_its_place_among_streams) {
  auto owner = new_user("owner");
  auto viewer = new_user("viewer");
  const std::string room = new_vroom(*owner);
  subscribe(*viewer, room);
  constexpr int count = 40;
  for (int i = 0; i < count; i += 2) {
    push(*owner, room, std::to_string(i));
    send_in_pieces(*owner, frame_type::bigbinarystream, big_payload(room, high_bar, std::to_string(i + 1)), 9);
  }
  for (int i = 0; i < count; ++i) expect_push(*viewer, room, std::to_string(i));
}

TEST_P(protocol, 97_bigbinarystream_is_refused_without_the_right_and_without_a_room) {
  auto owner = new_user("owner");
  auto guest = new_user("guest");
  const std::string room = new_vroom(*owner);
  const auto type = frame_type::bigbinarystream;
  subscribe(*guest, room);
  guest->send_bytes(type, big_payload(room, high_bar, "mine?"));
  expect_push_refused(*guest, type, room, 4105);
  const std::string unknown = to_node(node_kind::virtual_room, 0xABCDEF0123456789ULL);
  owner->send_bytes(type, big_payload(unknown, high_bar, "x"));
  expect_push_refused(*owner, type, unknown, 4109);
  for (const std::string& node : {std::string("nonsense"), owner->node(), to_node(room_id{5})}) {
    owner->send_bytes(type, big_payload(node, high_bar, "x"));
    expect_push_refused(*owner, type, node, 4104);
  }
  for (const char wrong : {bar, '\0'}) {
    owner->send_bytes(type, big_payload(room, wrong, "x"));
    expect_refused(*owner, type, 4114);
  }
  owner->send_bytes(type, big_payload("", high_bar, "x"));
  expect_refused(*owner, type, 4114);
  grant(*owner, room, *guest);
  guest->send_bytes(type, big_payload(room, high_bar, "now"));
  expect_push(*guest, room, "now");
}

TEST_P(protocol, 97_bigbinarystream_above_the_limit_is_refused_and_skipped) {
  auto owner = new_user("owner");
  auto viewer = new_user("viewer");
  const std::string room = new_vroom(*owner);
  subscribe(*viewer, room);
  const std::string data(1'100'000, 'z');
  send_in_pieces(*owner, frame_type::bigbinarystream, big_payload(room, high_bar, data), 50'000);
  expect_refused(*owner, frame_type::bigbinarystream, 4114);
  push(*owner, room, "the next frame");
  expect_push(*viewer, room, "the next frame");
}

TEST_P(protocol, 97_bigbinarystream_slow_viewers_lose_the_oldest_and_hold_nobody_up) {
  auto owner = new_user("owner");
  auto fast = new_user("fast");
  auto slow = new_user("slow");
  const std::string room = new_vroom(*owner);
  for (auto* one : {fast.get(), slow.get()}) subscribe(*one, room, true);
  // More than the kernel's buffers and the gateway's queue hold for one connection.
  constexpr int count = 100;
  const std::string filler(200'000, '.');
  const auto body = [&](int i) { return std::to_string(i) + filler; };
  for (int i = 0; i < count; ++i) {
    send_in_pieces(*owner, frame_type::bigbinarystream, big_payload(room, high_bar, body(i)), 60'000);
    expect_push(*fast, room, body(i));
  }
  push(*owner, room, "end");
  expect_push(*fast, room, "end");
  int last = -1, seen = 0;
  while (const auto frame = slow->find(is_push, patience)) {
    const std::string got = frame->payload.substr(room.size() + 1);
    if (got == "end") break;
    const int number = std::atoi(got.c_str());
    ASSERT_EQ(got, body(number)) << "frames are whole";
    ASSERT_GT(number, last) << "in order";
    last = number;
    ++seen;
  }
  EXPECT_LT(seen, count) << "nothing was dropped: the viewer was not slow";
  EXPECT_GT(seen, 0);
  push(*owner, room, "caught up");
  expect_push(*fast, room, "caught up");
  expect_push(*slow, room, "caught up");
}

}  // namespace
}  // namespace tern::testing

#include <map>

#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

bool is_ack(const server_frame& frame) { return frame.type == frame_type::ack; }

TEST_P(protocol, 94_stream_reaches_subscribers_of_every_gateway_once) {
  auto owner = new_user_in_half(false, 0);
  const std::string room = new_vroom(*owner);
  std::vector<client_ptr> viewers;
  for (size_t i = 0; i < 6; ++i) {
    subscribe(*viewers.emplace_back(new_user_in_half(i % 3 == 0, i % 2)), room, i >= 3);
  }
  auto passer_by = new_user("passer-by");
  for (const std::string body : {"one", "two", "three"}) {
    push(*owner, room, body);
    for (auto& one : viewers) expect_push(*one, room, body);
  }
  settle_room(*owner, room);
  expect_none(*owner, is_push, "a frame for an owner who has not subscribed");
  expect_none(*owner, is_ack, "an answer to a push");
  expect_none(*passer_by, is_push, "a frame for who has not subscribed");
}

TEST_P(protocol, 94_stream_carries_its_fields_and_the_true_sender) {
  auto owner = new_user("owner");
  auto viewer = new_user("viewer");
  const std::string room = new_vroom(*owner);
  subscribe(*viewer, room);
  wire::tim_stream stream;
  stream.id = 4711;
  stream.vnode = room;
  stream.dtype = int8_t{-3};
  const std::string_view body("\0\xff\x83|\x80", 5);
  stream.body = body;
  stream.from_node = viewer->node();  // forged
  owner->send(frame_type::stream, stream);
  const auto got = next_push(*viewer);
  EXPECT_EQ(got.id, 4711);
  EXPECT_EQ(got.dtype, -3);
  EXPECT_EQ(got.room, room);
  EXPECT_EQ(got.body, body);
  EXPECT_EQ(got.from, owner->node());
  push(*owner, room, "no id, no sender");
  const auto bare = next_push(*viewer);
  EXPECT_NE(bare.id, 0);
  EXPECT_EQ(bare.dtype, -1);
  EXPECT_EQ(bare.from, owner->node());
}

TEST_P(protocol, 94_stream_in_binary_form_is_node_separator_and_body) {
  auto owner = new_user("owner");
  auto viewer = new_user("viewer");
  const std::string room = new_vroom(*owner);
  subscribe(*viewer, room, true);
  const std::string body("\0\xff\x83|\x80 body", 10);
  push(*owner, room, body);
  const auto frame = viewer->find(is_push);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->type, frame_type::bigbinarystream);
  EXPECT_FALSE(frame->sync_id);
  EXPECT_EQ(frame->payload, room + high_bar + body);
}

TEST_P(protocol, 94_stream_comes_in_the_encoding_of_each_viewer) {
  auto owner = new_user("owner");
  const std::string name = fresh_name("viewer");
  register_account(name);
  auto same = log_in(name);
  const auto other_encoding = enc() == wire::encoding::json ? wire::encoding::thrift : wire::encoding::json;
  tim_client other(port(), other_encoding);
  ASSERT_TRUE(other.login(name, "secret").ok);
  const std::string room = new_vroom(*owner);
  for (auto* one : {same.get(), &other}) subscribe(*one, room);
  const std::string body("\x01\x02\xfe", 3);
  push(*owner, room, body);
  for (auto* one : {same.get(), &other}) {
    const auto got = next_push(*one);
    EXPECT_EQ(got.body, body);
    EXPECT_EQ(got.from, owner->node());
  }
}

TEST_P(protocol, 94_stream_comes_back_to_its_sender_who_watches) {
  auto owner = new_user("owner");
  const std::string room = new_vroom(*owner);
  subscribe(*owner, room);
  for (const std::string body : {"one", "two"}) {
    push(*owner, room, body);
    expect_push(*owner, room, body);
  }
  unsubscribe(*owner, room);
  push(*owner, room, "three");
  settle_room(*owner, room);
  expect_none(*owner, is_push, "a frame after the subscription's end, or a double one");
}

TEST_P(protocol, 94_stream_is_refused_without_the_right_and_without_a_room) {
  auto owner = new_user("owner");
  auto viewer = new_user("viewer");
  const std::string room = new_vroom(*owner);
  subscribe(*viewer, room);
  push(*viewer, room, "mine?");
  expect_push_refused(*viewer, frame_type::stream, room, 4105);
  const std::string unknown = to_node(node_kind::virtual_room, 0xFEDCBA987654321ULL);
  push(*owner, unknown, "x");
  expect_push_refused(*owner, frame_type::stream, unknown, 4109);
  for (const std::string& node :
       {std::string(), std::string("nonsense"), owner->node(), to_node(room_id{5}), std::string(65, 'z')}) {
    push(*owner, node, "x");
    expect_push_refused(*owner, frame_type::stream, node, 4104);
  }
  push(*owner, room, "the first");
  expect_push(*viewer, room, "the first");
}

TEST_P(protocol, 94_stream_keeps_the_order_of_a_thousand_frames) {
  auto owner = new_user_in_half(false, 0);
  const std::string room = new_vroom(*owner);
  subscribe(*owner, room);
  std::vector<client_ptr> viewers;
  for (size_t i = 0; i < 4; ++i) subscribe(*viewers.emplace_back(new_user_in_half(i < 2, i % 2)), room, i % 2 == 0);
  constexpr int count = 1000, chunk = 100;
  for (int first = 0; first < count; first += chunk) {
    // The sender's own frames pace it: nothing is so far behind that it may be dropped.
    for (int i = first; i < first + chunk; ++i) push(*owner, room, std::to_string(i));
    for (int i = first; i < first + chunk; ++i) expect_push(*owner, room, std::to_string(i));
  }
  for (auto& one : viewers) {
    for (int i = 0; i < count; ++i) {
      const auto got = next_push(*one);
      ASSERT_EQ(got.body, std::to_string(i)) << "in order, each once";
    }
  }
}

TEST_P(protocol, 94_stream_of_two_senders_keeps_the_order_of_each) {
  auto owner = new_user_in_half(false, 0);
  auto guest = new_user_in_half(true, 1);
  const std::string room = new_vroom(*owner);
  grant(*owner, room, *guest);
  std::vector<client_ptr> viewers;
  for (size_t i = 0; i < 3; ++i) subscribe(*viewers.emplace_back(new_user_in_half(i < 2, i % 2)), room);
  constexpr int count = 200;
  for (int i = 0; i < count; ++i) {
    for (auto* one : {owner.get(), guest.get()}) push(*one, room, std::to_string(i));
  }
  std::vector<std::vector<std::string>> seen;
  for (auto& one : viewers) {
    std::map<std::string, int> next;
    auto& lines = seen.emplace_back();
    for (int i = 0; i < 2 * count; ++i) {
      const auto got = next_push(*one);
      ASSERT_EQ(got.body, std::to_string(next[got.from]++)) << "a sender's own order";
      lines.push_back(got.from + " " + got.body);
    }
    EXPECT_EQ(next[owner->node()], count);
    EXPECT_EQ(next[guest->node()], count);
    EXPECT_EQ(lines, seen.front()) << "one order for all viewers";
  }
}

TEST_P(protocol, 94_stream_rooms_do_not_mix) {
  auto owner = new_user("owner");
  auto both = new_user("both");
  auto one = new_user("one");
  const std::string first = new_vroom(*owner), second = new_vroom(*owner);
  subscribe(*both, first);
  subscribe(*both, second, true);
  subscribe(*one, second);
  push(*owner, first, "first");
  push(*owner, second, "second");
  expect_push(*one, second, "second");
  std::map<std::string, std::string> got;
  for (int i = 0; i < 2; ++i) {
    const auto frame = next_push(*both);
    EXPECT_EQ(frame.binary, frame.room == second) << "each subscription has its own form";
    got[frame.room] = frame.body;
  }
  EXPECT_EQ(got[first], "first");
  EXPECT_EQ(got[second], "second");
}

TEST_P(protocol, 94_stream_is_not_kept_for_later) {
  auto owner = new_user("owner");
  std::string name;
  auto viewer = new_user("viewer", &name);
  const std::string room = new_vroom(*owner);
  push(*owner, room, "before anybody watched");
  settle_room(*owner, room);
  subscribe(*viewer, room);
  viewer.reset();
  push(*owner, room, "while nobody watched");
  settle_room(*owner, room);
  viewer = log_in(name);
  EXPECT_TRUE(drain(*viewer).empty());
  subscribe(*viewer, room);
  push(*owner, room, "live");
  expect_push(*viewer, room, "live");
}

}  // namespace
}  // namespace tern::testing

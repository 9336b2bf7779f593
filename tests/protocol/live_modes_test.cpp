// Virtual rooms, big data and messages of the moment on servers with settings of their own.
#include "tests/protocol/fixture.hpp"

namespace tern::testing {
namespace {

using wire::frame_type;

/// Virtual rooms that end after a few seconds without traffic.
class short_lived : public protocol {
 protected:
  static own_server& own() {
    static own_server one;
    return one;
  }
  server& where() override {
    return own().of(GetParam().kind, {{"group.vroom_idle_ms", "4000"}, {"session.open_messaging", "true"}});
  }
  static void TearDownTestSuite() { own().stop(); }
};

TEST_P(short_lived, 22_vroom_without_traffic_ends) {
  auto owner = new_user("owner");
  auto viewer = new_user("viewer");
  const std::string idle = new_vroom(*owner), busy = new_vroom(*owner);
  for (const auto& room : {idle, busy}) subscribe(*viewer, room, true);
  subscribe(*owner, busy);
  // Pushes keep the one alive for as long as it takes the other to end.
  const auto is_over = [&](const server_frame& f) { return f.type == frame_type::ack; };
  std::optional<server_frame> over;
  for (int i = 0; i < 300 && !over; ++i) {
    push(*owner, busy, std::to_string(i));
    expect_push(*owner, busy, std::to_string(i));
    expect_push(*viewer, busy, std::to_string(i));
    over = viewer->find(is_over, std::chrono::milliseconds(100));
  }
  ASSERT_TRUE(over) << "no room ended";
  const auto ack = viewer->read<wire::tim_ack>(*over);
  EXPECT_TRUE(ack.ok);
  EXPECT_EQ(ack.t, 2);
  EXPECT_EQ(ack.n, idle);
  vroom(*viewer, 5, idle);
  expect_vroom_refused(*viewer, 5, idle, 4109);
  push(*owner, idle, "too late");
  expect_push_refused(*owner, frame_type::stream, idle, 4109);
  push(*owner, busy, "alive");
  expect_push(*viewer, busy, "alive");
  for (auto* one : {owner.get(), viewer.get()}) expect_room_over(*one, busy);
}

TEST_P(short_lived, 95_bigstring_and_odtype5_need_no_friendship_where_messages_need_none) {
  auto alice = new_user("alice");
  auto bob = new_user("bob");
  alice->send_bytes(frame_type::bigstring, big_payload(bob->node(), bar, "hello stranger"));
  expect_big(*bob, frame_type::bigstring, alice->node(), "hello stranger");
  auto message = text_message(bob->node(), "hello");
  message.od_type = 5;
  alice->send(frame_type::message, message);
  expect_live(*bob, alice->node(), "hello");
  business(*bob, 7, alice->node());
  expect_ok(*bob, frame_type::business, 7);
  expect_notice(*alice, bob->node(), 7);
  alice->send_bytes(frame_type::bigstring, big_payload(bob->node(), bar, "hello?"));
  expect_refused(*alice, frame_type::bigstring, 4110);
  alice->send(frame_type::message, message);
  expect_refused(*alice, frame_type::message, 4110);
}

INSTANTIATE_TEST_SUITE_P(ternd, short_lived, ::testing::ValuesIn(encodings_at(server_kind::ternd)), place_name);
INSTANTIATE_TEST_SUITE_P(cluster, short_lived, ::testing::ValuesIn(encodings_at(server_kind::cluster)), place_name);

/// Virtual rooms need no storage.
class live_without_data : public protocol {
 protected:
  static own_server& own() {
    static own_server one;
    return one;
  }
  server& where() override { return own().of(GetParam().kind, {{"session.storage", "none"}}); }
  static void TearDownTestSuite() { own().stop(); }
};

TEST_P(live_without_data, 22_vroom_and_94_stream_work) {
  auto owner = new_user_in_half(false, 0);
  auto guest = new_user_in_half(true, 1);
  auto elsewhere = new_user("elsewhere", nullptr, "blue");
  const std::string room = new_vroom(*owner);
  subscribe(*owner, room);
  subscribe(*guest, room, true);
  vroom(*elsewhere, 5, room);
  expect_vroom_refused(*elsewhere, 5, room, 4109);
  push(*guest, room, "mine?");
  expect_push_refused(*guest, frame_type::stream, room, 4105);
  grant(*owner, room, *guest);
  constexpr int count = 100;
  for (int i = 0; i < count; ++i) push(*guest, room, std::to_string(i));
  for (auto* one : {owner.get(), guest.get()}) {
    for (int i = 0; i < count; ++i) expect_push(*one, room, std::to_string(i));
  }
  vroom(*owner, 2, room);
  for (auto* one : {owner.get(), guest.get()}) expect_room_over(*one, room);
}

INSTANTIATE_TEST_SUITE_P(ternd, live_without_data, ::testing::ValuesIn(encodings_at(server_kind::ternd)), place_name);
INSTANTIATE_TEST_SUITE_P(cluster, live_without_data, ::testing::ValuesIn(encodings_at(server_kind::cluster)),
                         place_name);

}  // namespace
}  // namespace tern::testing

// Messages of rooms to many terminals, and acknowledgements of rooms in bulk.
#include <map>
#include <set>

#include "tests/protocol/fake_cluster.hpp"

namespace tern::testing {
namespace {

using wire::encoding;
using wire::frame_type;

constexpr uint64_t room = 7;

bool is_room_acked(const fake_session::item& one) { return one.has_room_acked(); }

class edge_rooms : public edge_test {
 protected:
  struct visitor {
    tim_client client;
    uint64_t conn = 0;
    uint64_t account = 0;
  };

  visitor& let_in(encoding enc) {
    tim_client client(port(), enc);
    EXPECT_TRUE(client.login("guest" + std::to_string(guests.size()), "secret").ok);
    const auto login = session.expect_login().login();
    guests.push_back({std::move(client), login.conn(), login.slot_key()});
    return guests.back();
  }
  std::vector<uint64_t> conns() const {
    std::vector<uint64_t> out;
    for (const auto& each : guests) out.push_back(each.conn);
    return out;
  }
  static void expect_text(visitor& at, std::string_view text, int64_t mid) {
    const auto frame = at.client.next();
    ASSERT_TRUE(frame) << text;
    EXPECT_EQ(frame->type, frame_type::message);
    EXPECT_TRUE(frame->sync_id);
    const auto message = at.client.read<wire::tim_message>(*frame);
    EXPECT_EQ(message.data_string, text);
    EXPECT_EQ(message.mid, mid);
  }
  /// Takes RoomAcked items until every guest is known to have acknowledged up to `mid`; how many there were.
  int expect_acked(fake_session& at, uint64_t mid) {
    std::set<uint64_t> missing;
    for (const auto& each : guests) missing.insert(each.account);
    int items = 0;
    while (!missing.empty() && !HasFailure()) {
      const auto acked = at.expect(is_room_acked).room_acked();
      ++items;
      EXPECT_EQ(acked.room(), room);
      EXPECT_EQ(acked.accounts_size(), acked.mids_size());
      for (int i = 0; i < acked.accounts_size(); ++i) {
        if (acked.mids(i) == mid) missing.erase(acked.accounts(i));
        EXPECT_LE(acked.mids(i), mid);
      }
    }
    return items;
  }

  std::deque<visitor> guests;
};

TEST_F(edge_rooms, bring_one_message_to_terminals_of_all_io_threads_in_their_encoding) {
  options.threads = 3;
  start();
  for (int i = 0; i < 12; ++i) let_in(i % 2 == 0 ? encoding::thrift : encoding::json);
  session.send_room(room, 1, conns(), "to all");
  session.send_room(room, 2, conns(), "once more");
  for (auto& each : guests) {
    expect_text(each, "to all", 1);
    expect_text(each, "once more", 2);
  }
  expect_acked(session, 2);
  EXPECT_EQ(metric("tern_gateway_room_frames_total"), 24);
}

TEST_F(edge_rooms, give_each_terminal_its_own_sync_ids) {
  start();
  for (int i = 0; i < 2; ++i) let_in(encoding::thrift).client.acknowledge_by_itself(false);
  session.send_out(guests[0].conn, frame_type::message, message_bytes(1, "before"), message_ref(9, 1));
  EXPECT_EQ(guests[0].client.next()->sync_id, 1);
  session.send_room(room, 1, conns(), "x");
  EXPECT_EQ(guests[0].client.next()->sync_id, 2);
  EXPECT_EQ(guests[1].client.next()->sync_id, 1);
}

TEST_F(edge_rooms, drop_what_is_not_newer_than_the_last_message_of_the_room) {
  start();
  auto& guest = let_in(encoding::thrift);
  for (const uint64_t mid : {3, 3, 2, 5}) session.send_room(room, mid, conns(), "m" + std::to_string(mid));
  session.send_room(room + 1, 1, conns(), "another room");
  expect_text(guest, "m3", 3);
  expect_text(guest, "m5", 5);
  expect_text(guest, "another room", 1);
}

TEST_F(edge_rooms, leave_out_connections_that_are_gone_or_never_were) {
  start();
  auto& guest = let_in(encoding::thrift);
  session.send_room(room, 1, {12345, guest.conn, UINT64_MAX, 0}, "x");
  expect_text(guest, "x", 1);
}

TEST_F(edge_rooms, tell_acknowledgements_of_many_terminals_in_one) {
  start();
  for (int i = 0; i < 8; ++i) let_in(encoding::thrift);
  constexpr uint64_t most = 20;
  for (uint64_t mid = 1; mid <= most; ++mid) session.send_room(room, mid, conns(), "x");
  for (auto& each : guests) {
    for (uint64_t mid = 1; mid <= most; ++mid) ASSERT_TRUE(each.client.next());
  }
  // 160 acknowledgements; how many tellings they take depends on how long they took.
  EXPECT_LT(expect_acked(session, most), 80);
  EXPECT_TRUE(session.nothing([](const auto& one) { return one.has_acked(); }));
}

TEST_F(edge_rooms, say_nothing_of_a_message_that_is_not_acknowledged) {
  start();
  auto& guest = let_in(encoding::thrift);
  guest.client.acknowledge_by_itself(false);
  for (const uint64_t mid : {5, 6, 7}) session.send_room(room, mid, conns(), "x");
  std::vector<int32_t> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(*guest.client.next()->sync_id);
  guest.client.acknowledge(ids[2]);
  guest.client.acknowledge(ids[0]);
  EXPECT_EQ(session.expect(is_room_acked).room_acked().mids(0), 5U);
  guest.client.acknowledge(ids[1]);
  EXPECT_EQ(session.expect(is_room_acked).room_acked().mids(0), 7U);
}

TEST_F(edge_rooms, say_nothing_of_a_room_while_a_list_of_it_is_open) {
  start();
  auto& guest = let_in(encoding::thrift);
  guest.client.acknowledge_by_itself(false);
  session.send_out(guest.conn, frame_type::offlinemsg, std::string(1, '\0'), batch_ref(room, 1));
  session.send_room(room, 5, conns(), "x");
  const auto list = guest.client.next();
  const auto message = guest.client.next();
  ASSERT_TRUE(list && message);
  guest.client.acknowledge(*message->sync_id);
  guest.client.acknowledge(*list->sync_id);
  // The list's acknowledgement is told at once, the room's in a while; never the other way round.
  EXPECT_EQ(session.expect([](const auto& one) { return one.has_acked() || one.has_room_acked(); }).item_case(),
            fake_session::item::kAcked);
  EXPECT_EQ(session.expect(is_room_acked).room_acked().mids(0), 5U);
}

TEST_F(edge_rooms, tell_what_was_acknowledged_before_they_tell_that_a_connection_ended) {
  start();
  auto& guest = let_in(encoding::thrift);
  session.send_room(room, 5, conns(), "x");
  session.send_room(room + 1, 6, conns(), "x");
  ASSERT_TRUE(guest.client.next());
  ASSERT_TRUE(guest.client.next());
  guest.client.send_bytes(frame_type::ping, {});
  ASSERT_TRUE(guest.client.next(frame_type::ping));  // both acknowledgements have come before it
  guest.client.ws().socket().close();
  std::map<uint64_t, uint64_t> told;
  for (;;) {
    const auto item = session.expect([](const auto& one) { return one.has_room_acked() || one.has_closed(); });
    if (!item.has_room_acked()) break;
    EXPECT_EQ(item.room_acked().accounts(0), guest.account);
    told[item.room_acked().room()] = item.room_acked().mids(0);
  }
  EXPECT_EQ(told, (std::map<uint64_t, uint64_t>{{room, 5}, {room + 1, 6}}));
}

TEST_F(edge_rooms, go_with_the_terminal_to_its_new_owner) {
  start();
  auto& guest = let_in(encoding::thrift);
  guest.client.acknowledge_by_itself(false);
  session.send_room(room, 5, conns(), "x");
  session.send_room(room, 6, conns(), "x");
  const auto first = guest.client.next();
  ASSERT_TRUE(first && guest.client.next());
  guest.client.acknowledge(*first->sync_id);
  guest.client.send_bytes(frame_type::ping, {});
  ASSERT_TRUE(guest.client.next(frame_type::ping));
  routing.publish("session-1", 2, {"session-0", "session-1"});
  EXPECT_EQ(session.expect(is_room_acked).room_acked().mids(0), 5U);  // to the owner it had
  const auto bind = other.expect_bind().bind();
  ASSERT_EQ(bind.unacked_size(), 1);
  EXPECT_EQ(bind.unacked(0).kind(), session::v1::DeliveryRef::ROOM);
  EXPECT_EQ(bind.unacked(0).conversation().hi(), room);
  EXPECT_EQ(bind.unacked(0).conversation().lo(), 0U);
  EXPECT_EQ(bind.unacked(0).mid(), 6U);
  ASSERT_EQ(bind.written_size(), 1);
  EXPECT_EQ(bind.written(0).kind(), session::v1::DeliveryRef::ROOM);
  EXPECT_EQ(bind.written(0).mid(), 6U);
  guest.client.send_bytes(frame_type::message, message_bytes(0, "x"));
  other.expect_frame();  // the Bind has been answered
  session.send_room(room, 7, conns(), "from the old owner");
  other.send_room(room, 7, conns(), "from the new owner");
  expect_text(guest, "from the new owner", 7);
}

TEST_F(edge_rooms, do_not_reach_a_terminal_before_its_owner_has_taken_it) {
  start();
  auto& guest = let_in(encoding::thrift);
  session.answer_binds(false);
  routing.publish("session-0", 2, {"session-0"});
  session.expect_bind();
  session.send_room(room, 5, conns(), "too early");
  fake_session::answer result;
  result.mutable_bind_result()->set_conn(guest.conn);
  session.send(result);
  session.send_room(room, 5, conns(), "in time");
  expect_text(guest, "in time", 5);
}

TEST_F(edge_rooms, acknowledged_between_owners_are_told_by_the_bind) {
  start();
  auto& guest = let_in(encoding::thrift);
  guest.client.acknowledge_by_itself(false);
  session.send_room(room, 5, conns(), "x");
  const auto frame = guest.client.next();
  ASSERT_TRUE(frame);
  routing.publish({}, 0, {});
  guest.client.send_bytes(frame_type::ping, {});
  ASSERT_TRUE(guest.client.next(frame_type::ping));
  guest.client.acknowledge(*frame->sync_id);
  guest.client.send_bytes(frame_type::ping, {});
  ASSERT_TRUE(guest.client.next(frame_type::ping));
  routing.publish("session-1", 2, {"session-1"});
  const auto bind = other.expect_bind().bind();
  EXPECT_EQ(bind.unacked_size(), 0);
  ASSERT_EQ(bind.written_size(), 1);
  EXPECT_EQ(bind.written(0).mid(), 5U);
}

TEST_F(edge_rooms, wait_behind_a_full_window_and_follow_in_order) {
  options.window_frames = 2;
  start();
  for (const auto enc : {encoding::thrift, encoding::json}) let_in(enc).client.acknowledge_by_itself(false);
  for (uint64_t mid = 1; mid <= 6; ++mid) session.send_room(room, mid, conns(), "m" + std::to_string(mid));
  for (auto& each : guests) {
    for (int64_t mid = 1; mid <= 6; ++mid) {
      const auto frame = each.client.next();
      ASSERT_TRUE(frame);
      EXPECT_EQ(each.client.read<wire::tim_message>(*frame).mid, mid);
      each.client.acknowledge(*frame->sync_id);
    }
  }
  expect_acked(session, 6);
}

TEST_F(edge_rooms, cut_off_a_terminal_with_too_many_messages_waiting_and_no_other) {
  options.window_frames = 2;
  options.waiting_frames = 3;
  start();
  auto& slow = let_in(encoding::thrift);
  auto& quick = let_in(encoding::thrift);
  slow.client.acknowledge_by_itself(false);
  for (uint64_t mid = 1; mid <= 6; ++mid) {
    session.send_room(room, mid, conns(), "m" + std::to_string(mid));
    expect_text(quick, "m" + std::to_string(mid), static_cast<int64_t>(mid));
    quick.client.send_bytes(frame_type::ping, {});
    ASSERT_TRUE(quick.client.next(frame_type::ping));  // so its window is free again
  }
  EXPECT_TRUE(slow.client.ws().wait_close());
  EXPECT_EQ(session.expect_closed().closed().conn(), slow.conn);
}

TEST_F(edge_rooms, cut_off_a_terminal_that_does_not_acknowledge_them) {
  options.ack_timeout = std::chrono::milliseconds{300};
  start();
  auto& guest = let_in(encoding::thrift);
  guest.client.acknowledge_by_itself(false);
  session.send_room(room, 1, conns(), "x");
  EXPECT_EQ(guest.client.ws().wait_close(), 1008);
}

TEST_F(edge_rooms, survive_a_payload_that_is_none) {
  start();
  auto& thrift = let_in(encoding::thrift);
  auto& json = let_in(encoding::json);
  fake_session::answer bad;
  bad.mutable_room_out()->set_room(room);
  bad.mutable_room_out()->set_mid(1);
  bad.mutable_room_out()->set_payload("rubbish");
  for (const uint64_t conn : conns()) bad.mutable_room_out()->add_conns(conn);
  session.send(bad);
  session.send_room(room, 2, conns(), "x");
  EXPECT_EQ(thrift.client.next()->payload, "rubbish");  // Thrift goes through as it is
  expect_text(thrift, "x", 2);
  expect_text(json, "x", 2);
}

}  // namespace
}  // namespace tern::testing

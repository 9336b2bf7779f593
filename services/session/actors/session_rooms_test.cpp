#include "libs/wire/message.hpp"
#include "services/session/rooms/hub.hpp"
#include "services/session/testing/room_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

wire::tim_message text_for(const std::string& room, std::string_view text, int64_t id = 0) {
  wire::tim_message out;
  out.ms_type = 3;
  out.od_type = 1;
  wire::tid where;
  where.node = room;
  out.room_tid = where;
  out.data_string = text;
  if (id != 0) out.id = id;
  return out;
}

class session_rooms_test : public room_fixture {
 protected:
  session_rooms_test() { storage.time_ns = 1'000; }  // long before anybody logs on
  void say(account_id who, int count = 1) {
    for (int i = 0; i < count; ++i) frame(terminal_of(who), who, frame_type::message, text_for(node, "m"));
    settle();
  }
  /// Stored by somebody on another node, and the frame of it is lost.
  void store(account_id who) {
    storage::v1::StorageRequest request;
    storage::v1::RoomAppend& append = *request.mutable_room_append();
    append.set_room(open.value);
    append.set_sender(who.value);
    append.set_key("k" + std::to_string(++keys_));
    append.set_body(body());
    storage::v1::StorageReply reply;
    EXPECT_EQ(storage.execute(request, reply), errc::ok);
  }
  std::string body() {
    std::string out;
    wire::encode_stored(text_for(node, "stored"), out);
    return out;
  }
  /// mids of the room's messages a connection got live, oldest first.
  std::vector<uint64_t> live(uint64_t conn) {
    std::vector<uint64_t> found;
    for (const auto& item : gateway->items) {
      if (!item.has_room_out()) continue;
      for (const uint64_t one : item.room_out().conns()) {
        if (one == conn) found.push_back(item.room_out().mid());
      }
    }
    return found;
  }
  /// mids of the lists a connection got; acknowledges them until none comes.
  std::vector<int64_t> drained(uint64_t conn, account_id who) {
    std::vector<int64_t> seen;
    for (;;) {
      auto lists = frames(conn, frame_type::offlinemsg);
      if (lists.empty()) return seen;
      for (auto& list : lists) {
        kept.push_back(list);
        for (const auto& row : list_of(kept.back())) seen.push_back(*row.mid);
        ack(conn, who, list.ref());
      }
      settle();
    }
  }
  void room_ack(account_id who, uint64_t mid) {
    v1::GatewayItem item;
    item.mutable_room_acked()->set_room(open.value);
    item.mutable_room_acked()->add_accounts(who.value);
    item.mutable_room_acked()->add_mids(mid);
    send(std::move(item));
  }
  void sweep() {
    time.advance(std::chrono::seconds(6));
    for (int i = 0; i < 8; ++i) rooms.sweep();
    settle();
  }
  uint64_t stored_position(account_id who) { return storage.room_positions[{who.value, open.value}]; }
  v1::DeliveryRef ref_of(v1::DeliveryRef::Kind kind, uint64_t mid) {
    v1::DeliveryRef ref;
    ref.set_kind(kind);
    ref.mutable_conversation()->set_hi(open.value);
    ref.set_mid(mid);
    return ref;
  }
  using mids = std::vector<uint64_t>;

  const std::string node = to_node(open);
  int keys_ = 0;
};

TEST_F(session_rooms_test, every_member_on_line_gets_a_message_and_the_sender_as_its_receipt) {
  const uint64_t one = terminal_of(member);
  const uint64_t other = terminal_of(manager);
  const uint64_t outside = terminal_of(outsider);
  forget_all();
  say(member, 2);
  EXPECT_EQ(live(one), (mids{1, 2}));
  EXPECT_EQ(live(other), (mids{1, 2}));
  EXPECT_TRUE(live(outside).empty());
  EXPECT_TRUE(frames(one, frame_type::message).empty()) << "the message is the receipt";
  uint64_t confirmed = 0;
  for (const auto& item : gateway->items) {
    if (item.has_confirm() && item.confirm().conn() == one) confirmed = item.confirm().seq();
  }
  EXPECT_EQ(confirmed, 2U);
}

TEST_F(session_rooms_test, a_repeated_message_is_answered_to_the_terminal_that_sent_it) {
  const uint64_t conn = terminal_of(member);
  frame(conn, member, frame_type::message, text_for(node, "m", 7));
  settle();
  forget_all();
  frame(conn, member, frame_type::message, text_for(node, "m", 7));
  settle();
  EXPECT_TRUE(live(conn).empty());
  const auto again = frames(conn, frame_type::message);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(message_of(again[0]).mid, 1);
  EXPECT_EQ(again[0].ref().kind(), v1::DeliveryRef::RECEIPT);
}

TEST_F(session_rooms_test, what_came_while_off_line_waits_for_offlinemsg_then_the_room_is_live) {
  terminal_of(manager);
  say(manager, 3);
  const uint64_t conn = terminal_of(member);
  EXPECT_TRUE(live(conn).empty());
  raw_frame(conn, member, frame_type::offlinemsg, "");
  settle();
  EXPECT_EQ(drained(conn, member), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(frames(conn, frame_type::offlinemsgend).size(), 1U);
  EXPECT_EQ(stored_position(member), 3U);
  forget_all();
  say(manager);
  EXPECT_EQ(live(conn), mids{4});
}

TEST_F(session_rooms_test, a_message_wakes_a_room_that_waits_and_order_is_kept) {
  terminal_of(manager);
  say(manager, 2);
  const uint64_t conn = terminal_of(member);
  say(manager);
  EXPECT_TRUE(live(conn).empty());
  EXPECT_EQ(drained(conn, member), (std::vector<int64_t>{1, 2, 3}));
  forget_all();
  say(manager);
  EXPECT_EQ(live(conn), mids{4});
}

TEST_F(session_rooms_test, what_is_stored_between_login_and_subscription_comes_by_itself) {
  store(manager);
  room_owner.hold_interest = true;
  const uint64_t conn = terminal_of(member);
  storage.time_ns = time.wall_ns();
  store(manager);
  settle();
  EXPECT_TRUE(frames(conn, frame_type::offlinemsg).empty());
  room_owner.release_interest();
  settle();
  EXPECT_EQ(drained(conn, member), (std::vector<int64_t>{1, 2})) << "without OFFLINEMSG";
}

TEST_F(session_rooms_test, what_was_stored_long_before_waits_to_be_asked_for_however_late_the_subscription) {
  store(manager);
  room_owner.hold_interest = true;
  const uint64_t conn = terminal_of(member);
  room_owner.release_interest();
  settle();
  EXPECT_TRUE(drained(conn, member).empty());
}

TEST_F(session_rooms_test, a_sender_that_is_behind_gets_its_receipt_at_once) {
  terminal_of(manager);
  say(manager);
  const uint64_t conn = terminal_of(member);
  say(member);
  const auto receipt = frames(conn, frame_type::message);
  ASSERT_EQ(receipt.size(), 1U);
  EXPECT_EQ(message_of(receipt[0]).mid, 2);
}

TEST_F(session_rooms_test, a_sender_gets_its_message_once_although_the_room_is_still_being_subscribed) {
  const uint64_t conn = terminal_of(outsider);
  room_owner.hold_interest = true;
  business(outsider, 9, node);
  forget_all();
  say(outsider);
  EXPECT_TRUE(frames(conn, frame_type::message).empty());
  room_owner.release_interest();
  settle();
  EXPECT_EQ(live(conn), mids{1});
  EXPECT_TRUE(frames(conn, frame_type::message).empty()) << "the message of the room is the receipt";
  uint64_t confirmed = 0;
  for (const auto& item : gateway->items) {
    if (item.has_confirm() && item.confirm().conn() == conn) confirmed = item.confirm().seq();
  }
  EXPECT_EQ(confirmed, 2U) << "the change and the message";
}

TEST_F(session_rooms_test, offlinemsg_ends_without_the_owner_of_the_room) {
  terminal_of(manager);
  say(manager, 2);
  dir.end_if([](account_id) { return true; });
  run();
  time.advance(std::chrono::seconds(10));
  for (int i = 0; i < 8; ++i) rooms.sweep();  // nobody is in the room: it is forgotten
  EXPECT_EQ(rooms.rooms(), 0U);
  room_owner.fail_interest = errc::deadline;
  const uint64_t conn = terminal_of(member);
  raw_frame(conn, member, frame_type::offlinemsg, "");
  settle();
  EXPECT_EQ(drained(conn, member), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(frames(conn, frame_type::offlinemsgend).size(), 1U);
  store(manager);
  forget_all();
  sweep();  // the owner answers now: one more message is there
  EXPECT_EQ(live(conn), mids{3});
}

TEST_F(session_rooms_test, acknowledgements_are_stored_in_bulk_and_at_once_when_the_last_terminal_goes) {
  const uint64_t conn = terminal_of(member);
  say(member, 3);
  room_ack(member, 2);
  settle();
  EXPECT_EQ(stored_position(member), 0U);
  sweep();
  EXPECT_EQ(stored_position(member), 2U);
  room_ack(member, 3);
  close(conn, member);
  EXPECT_EQ(stored_position(member), 3U);
}

TEST_F(session_rooms_test, a_quick_return_does_not_read_an_old_position) {
  const uint64_t conn = terminal_of(member);
  say(member, 3);
  room_ack(member, 3);
  v1::GatewayItem gone;
  gone.mutable_closed()->set_conn(conn);
  gone.mutable_closed()->set_account(member.value);
  send(std::move(gone));
  run();  // the position is on its way
  ASSERT_TRUE(log_on(900, member));
  forget_all();
  say(manager);
  EXPECT_EQ(live(900), mids{4});
}

TEST_F(session_rooms_test, a_new_owner_goes_on_from_what_was_written_to_each_terminal) {
  terminal_of(manager);
  const uint64_t conn = terminal_of(member);
  say(manager, 3);
  dir.end_if([](account_id) { return true; });
  run();
  store(manager);
  rooms.on_source_down(1);  // the room's owner tells the newest mid to who asks anew
  attach = connect_gateway(1);
  v1::Bind back = bind_of(conn, member, false);
  *back.add_unacked() = ref_of(v1::DeliveryRef::ROOM, 3);
  *back.add_written() = ref_of(v1::DeliveryRef::ROOM, 3);
  bind(std::move(back));
  EXPECT_EQ(live(conn), mids{4});
  EXPECT_TRUE(frames(conn, frame_type::offlinemsg).empty());
}

TEST_F(session_rooms_test, lists_at_a_new_owner_go_to_those_who_had_nothing_live) {
  terminal_of(manager);
  const uint64_t conn = terminal_of(member);
  say(manager, 3);
  dir.end_if([](account_id) { return true; });
  run();
  store(manager);
  rooms.on_source_down(1);
  attach = connect_gateway(1);
  bind(bind_of(900, member, true));  // comes first: for all that is known it has all before it
  v1::Bind back = bind_of(conn, member, false);
  *back.add_unacked() = ref_of(v1::DeliveryRef::ROOM, 3);
  *back.add_written() = ref_of(v1::DeliveryRef::ROOM, 3);
  bind(std::move(back));
  pass(std::chrono::seconds(2));
  EXPECT_EQ(drained(900, member), (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_TRUE(frames(conn, frame_type::offlinemsg).empty());
  EXPECT_EQ(live(conn), mids{4});
  forget_all();
  store(manager);
  rooms.on_source_down(1);
  sweep();
  EXPECT_EQ(live(conn), mids{5});
  EXPECT_EQ(live(900), mids{5});
}

TEST_F(session_rooms_test, a_list_whose_acknowledgement_was_lost_does_not_come_again) {
  terminal_of(manager);
  say(manager, 3);
  bind(bind_of(900, member, false));
  frames(900, frame_type::offlinemsg);
  dir.end_if([](account_id) { return true; });
  run();
  attach = connect_gateway(1);
  v1::Bind back = bind_of(900, member, false);
  *back.add_written() = ref_of(v1::DeliveryRef::BATCH, 3);
  bind(std::move(back));
  store(manager);
  rooms.on_source_down(1);
  sweep();
  EXPECT_EQ(drained(900, member), std::vector<int64_t>{});
  EXPECT_EQ(live(900), mids{4});
  EXPECT_GE(stored_position(member), 3U);
}

TEST_F(session_rooms_test, a_terminal_that_had_nothing_of_the_room_is_drained_by_itself_at_a_new_owner) {
  terminal_of(manager);
  say(manager, 2);
  bind(bind_of(900, member, false));
  EXPECT_EQ(drained(900, member), (std::vector<int64_t>{1, 2}));
}

TEST_F(session_rooms_test, a_new_owner_stores_what_was_acknowledged_to_the_former_one) {
  terminal_of(manager);
  const uint64_t conn = terminal_of(member);
  say(manager, 5);
  dir.end_if([](account_id) { return true; });  // what it was told died with it
  run();
  attach = connect_gateway(1);
  v1::Bind back = bind_of(conn, member, false);
  *back.add_unacked() = ref_of(v1::DeliveryRef::ROOM, 5);
  *back.add_written() = ref_of(v1::DeliveryRef::ROOM, 5);
  bind(std::move(back));
  sweep();
  EXPECT_EQ(stored_position(member), 4U) << "nothing was sent or acknowledged since";
  v1::Bind second = bind_of(900, member, false);  // comes later
  *second.add_written() = ref_of(v1::DeliveryRef::ROOM, 5);
  bind(std::move(second));
  sweep();
  EXPECT_EQ(stored_position(member), 5U);
}

TEST_F(session_rooms_test, nothing_is_concluded_at_a_new_owner_while_a_list_is_on_its_way) {
  terminal_of(manager);
  const uint64_t conn = terminal_of(member);
  say(manager, 5);
  dir.end_if([](account_id) { return true; });
  run();
  attach = connect_gateway(1);
  v1::Bind back = bind_of(conn, member, false);
  *back.add_unacked() = ref_of(v1::DeliveryRef::BATCH, 3);
  *back.add_written() = ref_of(v1::DeliveryRef::ROOM, 5);
  bind(std::move(back));
  sweep();
  EXPECT_EQ(stored_position(member), 0U);
}

TEST_F(session_rooms_test, a_broken_link_loses_nothing_and_repeats_nothing) {
  const uint64_t conn = terminal_of(member);
  say(member, 3);
  attach->on_down();
  store(manager);
  attach = connect_gateway(1);
  v1::Bind back = bind_of(conn, member, false);
  *back.add_unacked() = ref_of(v1::DeliveryRef::ROOM, 2);
  *back.add_written() = ref_of(v1::DeliveryRef::ROOM, 2);
  bind(std::move(back));
  EXPECT_EQ(live(conn), (mids{3, 4}));
  terminal_of(manager);
  say(manager);
  EXPECT_EQ(live(conn), (mids{3, 4, 5}));
}

TEST_F(session_rooms_test, joining_and_leaving_take_effect_at_once) {
  const uint64_t conn = terminal_of(outsider);
  say(member);
  business(outsider, 9, node);
  forget_all();
  say(member);
  EXPECT_EQ(live(conn), mids{2}) << "and not what was there before";
  forget_all();
  business(outsider, 16, node);
  say(member);
  EXPECT_TRUE(live(conn).empty());
}

TEST_F(session_rooms_test, who_was_kicked_gets_nothing_more_although_its_own_row_is_late) {
  const uint64_t conn = terminal_of(member);
  terminal_of(manager);
  forget_all();
  storage.fail_next(storage::v1::StorageRequest::kAccountRoomPut, errc::database);
  business(manager, 13, node, to_node(member));
  say(manager);
  EXPECT_TRUE(live(conn).empty());
}

TEST_F(session_rooms_test, who_comes_back_while_its_own_row_of_being_put_out_is_late_gets_what_comes) {
  const uint64_t conn = terminal_of(member);
  terminal_of(manager);
  say(manager);
  forget_all();
  storage.fail_next(storage::v1::StorageRequest::kAccountRoomPut, errc::unavailable);
  business(manager, 13, node, to_node(member));
  say(manager);
  business(manager, 12, node, to_node(member));  // told on the stream that ends
  redispatch();
  say(manager);
  EXPECT_EQ(live(conn), mids{3});
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(session_rooms_test, changes_of_a_room_that_come_at_once_are_made_one_after_the_other) {
  const uint64_t conn = terminal_of(member);
  terminal_of(manager);
  forget_all();
  storage.fail_next(storage::v1::StorageRequest::kAccountRoomPut, errc::unavailable);
  for (const auto what : {storage::v1::RoomChange::KICK, storage::v1::RoomChange::PULL_IN}) {
    group::v1::GroupRequest ask;
    ask.set_room(open.value);
    ask.mutable_change()->set_room(open.value);
    ask.mutable_change()->set_change(what);
    ask.mutable_change()->set_actor(manager.value);
    ask.mutable_change()->set_target(member.value);
    room_owner.ask(std::move(ask), [](group_answer& got) { EXPECT_EQ(got.code, errc::ok); });
  }
  settle();
  redispatch();
  say(manager);
  EXPECT_EQ(live(conn), mids{1});
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(session_rooms_test, a_recall_in_a_room_goes_to_its_members_under_the_number_of_the_message) {
  terminal_of(manager);
  const uint64_t conn = terminal_of(member);
  say(manager);
  forget_all();
  wire::tim_message revoke = text_for(node, "");
  revoke.od_type = 2;
  revoke.mid = 1;
  revoke.data_string.reset();
  frame(terminal_of(manager), manager, frame_type::revokemessage, revoke);
  settle();
  EXPECT_EQ(live(conn), mids{2});
  for (const auto& item : gateway->items) {
    if (!item.has_room_out()) continue;
    const auto shown = wire::decode<wire::tim_message>(wire::encoding::thrift, item.room_out().payload(), memory);
    ASSERT_TRUE(shown);
    EXPECT_EQ(shown->mid, 1);
    EXPECT_EQ(shown->od_type, 2);
  }
}

TEST_F(session_rooms_test, other_terminals_are_logged_out_with_the_reason) {
  storage.account_passwords[alice.value] = "old";
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice));
  gateway->take();
  wire::tim_req req;
  req.rtype = 21;
  req.req_str = "old";
  req.req_str2 = "new";
  frame(1, alice, frame_type::business, req);
  settle();
  size_t ended = 0;
  for (const auto& item : gateway->items) {
    if (!item.has_close()) continue;
    ++ended;
    EXPECT_EQ(item.close().conn(), 2U);
    EXPECT_TRUE(item.close().logout());
  }
  EXPECT_EQ(ended, 1U);
  EXPECT_EQ(metrics.terminals, 1);
}

TEST_F(session_rooms_test, without_a_lease_frames_are_not_passed_on_and_are_made_up_for_later) {
  const uint64_t conn = terminal_of(member);
  forget_all();
  lease = false;
  store(manager);
  group::v1::RoomFrame frame;
  frame.set_room(open.value);
  frame.set_mid(1);
  frame.set_sender(manager.value);
  frame.set_body(body());
  rooms.on_frame(1, frame);
  EXPECT_TRUE(live(conn).empty());
  lease = true;
  sweep();
  EXPECT_EQ(live(conn), mids{1});
}

}  // namespace
}  // namespace tern::session

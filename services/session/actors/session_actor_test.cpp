#include "services/session/actors/session_actor.hpp"

#include <malloc.h>

#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

class session_actor_test : public session_fixture {
 protected:
  void say(int count = 1) {
    for (int i = 0; i < count; ++i) frame(1, alice, frame_type::message, text_to(bob_node, "m"));
    settle();
  }
  std::vector<int64_t> mids(uint64_t conn) {
    std::vector<int64_t> out;
    for (const auto& one : frames(conn, frame_type::message)) out.push_back(*message_of(one).mid);
    return out;
  }
  void login(uint64_t conn, const std::string& password, uint64_t slot_key) {
    v1::GatewayItem item;
    item.mutable_login()->set_conn(conn);
    item.mutable_login()->set_slot_key(slot_key);
    item.mutable_login()->set_name_key("key");
    item.mutable_login()->set_password(password);
    item.mutable_login()->set_termtyp(1);
    send(std::move(item));
    settle();
  }
  errc login_code(uint64_t conn) {
    for (const auto& item : gateway->items) {
      if (item.has_login_result() && item.login_result().conn() == conn)
        return static_cast<errc>(item.login_result().code());
    }
    return errc::undefined;
  }
  const std::string bob_node = to_node(bob);
};

TEST_F(session_actor_test, a_login_is_checked_by_storage_and_bound_here) {
  storage.passwords["right"] = alice;
  login(1, "right", alice.value);
  EXPECT_EQ(login_code(1), errc::ok);
  login(2, "wrong", alice.value);
  EXPECT_EQ(login_code(2), errc::no_pass);
  EXPECT_EQ(metrics.terminals, 1);
  say();
  EXPECT_EQ(mids(1), std::vector<int64_t>{1});
}

TEST_F(session_actor_test, a_login_for_an_account_of_another_node_is_redirected) {
  auto map = std::make_shared<placement::snapshot>();
  map->version = ++map_version;
  map->sessions =
      placement::range_map{{{0, slot_of(bob) - 1, "session-0", 3}, {slot_of(bob), slot_count - 1, "session-1", 4}}};
  cluster.publish(map);
  storage.passwords["probe"] = bob;
  login(1, "probe", alice.value);
  ASSERT_EQ(gateway->items.size(), 1U);
  const auto& result = gateway->items[0].login_result();
  EXPECT_TRUE(result.redirect());
  EXPECT_EQ(result.code(), 0);
  EXPECT_EQ(result.account(), bob.value);
  EXPECT_EQ(result.epoch(), 4U);
  login(2, "probe", bob.value);
  EXPECT_EQ(login_code(2), errc::wrong_owner);
}

TEST_F(session_actor_test, account_calls_are_passed_to_storage) {
  v1::GatewayItem item;
  item.mutable_account_call()->set_call(9);
  item.mutable_account_call()->set_slot_key(stranger.value);
  send(item);
  settle();
  ASSERT_EQ(gateway->items.size(), 1U);
  EXPECT_EQ(gateway->items[0].account_result().text(), to_node(stranger));
  send(item);
  settle();
  EXPECT_EQ(gateway->items[1].account_result().code(), static_cast<int32_t>(errc::exists));
  item.mutable_account_call()->set_kind(v1::AccountCall::TOKEN);
  send(item);
  settle();
  EXPECT_EQ(gateway->items[2].account_result().text(), "token");
}

TEST_F(session_actor_test, of_a_hundred_parallel_logins_with_a_limit_of_one_exactly_one_stays) {
  options.device_limit = 1;
  storage.passwords["right"] = alice;
  for (uint64_t conn = 1; conn <= 100; ++conn) {
    v1::GatewayItem item;
    item.mutable_login()->set_conn(conn);
    item.mutable_login()->set_slot_key(alice.value);
    item.mutable_login()->set_name_key("key");
    item.mutable_login()->set_password("right");
    send(std::move(item));
  }
  settle();
  size_t in = 0;
  for (uint64_t conn = 1; conn <= 100; ++conn) {
    const errc code = login_code(conn);
    in += code == errc::ok ? 1 : 0;
    EXPECT_TRUE(code == errc::ok || code == errc::over_entry);
  }
  EXPECT_EQ(in, 1U);
  EXPECT_EQ(metrics.terminals, 1);
}

TEST_F(session_actor_test, after_the_interval_the_oldest_terminal_is_logged_out) {
  options.device_limit = 2;
  ASSERT_TRUE(log_on(1, alice));
  time.advance(std::chrono::seconds(5));
  ASSERT_TRUE(log_on(2, alice));
  EXPECT_FALSE(log_on(3, alice));
  time.advance(std::chrono::seconds(6));
  ASSERT_TRUE(log_on(4, alice));
  bool out = false;
  for (const auto& item : gateway->items) {
    if (!item.has_close()) continue;
    EXPECT_EQ(item.close().conn(), 1U);
    EXPECT_TRUE(item.close().logout());
    out = true;
  }
  EXPECT_TRUE(out);
  EXPECT_EQ(metrics.terminals, 2);
}

TEST_F(session_actor_test, the_limit_of_a_terminal_type_counts_only_that_type) {
  options.devicetype_limit = 1;
  ASSERT_TRUE(log_on(1, alice, 1));
  EXPECT_FALSE(log_on(2, alice, 1));
  EXPECT_TRUE(log_on(3, alice, 2));
}

TEST_F(session_actor_test, nothing_is_done_for_slots_of_others_or_without_a_lease) {
  ASSERT_TRUE(log_on(1, alice));
  gateway->take();
  lease = false;
  frame(1, alice, frame_type::message, text_to(bob_node, "x"));
  bind(bind_of(7, bob, false));
  settle();
  ASSERT_EQ(gateway->items.size(), 2U);
  for (const auto& item : gateway->items) {
    EXPECT_EQ(item.bind_result().code(), static_cast<int32_t>(errc::wrong_owner));
  }
  v1::Delivery entry;
  entry.set_shard("s0");
  entry.set_entry(99);
  entry.set_account(bob.value);
  storage.outbox[99] = entry;
  settle();
  EXPECT_TRUE(refused.contains(99));
}

TEST_F(session_actor_test, a_second_terminal_gets_what_the_first_has_not_acknowledged) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say(2);
  EXPECT_EQ(mids(2), (std::vector<int64_t>{1, 2}));
  ASSERT_TRUE(log_on(3, bob));
  const auto copies = frames(3, frame_type::message);
  ASSERT_EQ(copies.size(), 2U);
  ack(3, bob, copies[0].ref());
  ack(3, bob, copies[1].ref());
  settle();
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(session_actor_test, what_was_stored_before_the_terminal_logged_on_says_so) {
  storage.time_ns = time.wall_ns() + 1;
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say();
  const auto live = frames(2, frame_type::message);
  ASSERT_EQ(live.size(), 1U);
  EXPECT_FALSE(message_of(live[0]).is_offline);
  time.advance(std::chrono::seconds(1));
  ASSERT_TRUE(log_on(3, bob));
  const auto again = frames(3, frame_type::message);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(message_of(again[0]).is_offline, true);
}

TEST_F(session_actor_test, an_entry_under_way_behind_a_refused_one_does_not_overtake_it) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say();
  EXPECT_EQ(mids(2), std::vector<int64_t>{1});
  const auto entry = [base = storage.outbox.begin()->second](uint64_t number) {
    v1::Delivery made = base;
    made.set_entry(100 + number);
    made.mutable_message()->set_mid(number);
    return std::vector<v1::Delivery>{made};
  };
  const auto arrive = [&](uint64_t number) {
    auto items = entry(number);
    dispatcher->on_items(items);
    settle();
  };
  lease = false;
  arrive(11);
  lease = true;
  arrive(12);
  EXPECT_EQ(refused, (std::set<uint64_t>{111, 112}));
  EXPECT_TRUE(mids(2).empty());
  arrive(11);
  arrive(12);
  EXPECT_EQ(mids(2), (std::vector<int64_t>{11, 12}));
  // However long it takes: the answer may wait at a stopped machine or on a path that is cut.
  lease = false;
  arrive(13);
  lease = true;
  time.advance(std::chrono::seconds(30));
  arrive(14);
  EXPECT_TRUE(mids(2).empty());
  arrive(14);  // it comes again, and 13 did not before it: that was settled elsewhere
  EXPECT_EQ(mids(2), std::vector<int64_t>{14});
}

TEST_F(session_actor_test, an_entry_under_way_behind_those_of_an_actor_that_ended_does_not_overtake_them) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say();
  EXPECT_EQ(mids(2), std::vector<int64_t>{1});
  const auto arrive = [&, base = storage.outbox.begin()->second](uint64_t number) {
    v1::Delivery made = base;
    made.set_entry(100 + number);
    made.mutable_message()->set_mid(number);
    std::vector<v1::Delivery> items{made};
    dispatcher->on_items(items);
    settle();
  };
  arrive(11);
  arrive(12);
  EXPECT_EQ(mids(2), (std::vector<int64_t>{11, 12}));
  // Another owner for a moment: the actor ends, and says so of its entries. The dispatcher does not know yet.
  dir.end_if([](account_id) { return true; });
  run();
  bind(bind_of(2, bob, false));
  gateway->take();
  arrive(13);
  EXPECT_TRUE(mids(2).empty());
  EXPECT_TRUE(refused.contains(111));
  EXPECT_TRUE(refused.contains(112));
  EXPECT_TRUE(refused.contains(113));
  arrive(11);
  arrive(12);
  arrive(13);
  EXPECT_EQ(mids(2), (std::vector<int64_t>{11, 12, 13}));
}

TEST_F(session_actor_test, what_a_former_owner_of_the_shard_had_under_way_changes_nothing) {
  const auto accept = deliver_acceptor(env);
  const auto to_former = std::make_shared<collecting_sink<v1::DeliveryReply>>();
  const auto to_next = std::make_shared<collecting_sink<v1::DeliveryReply>>();
  const auto former = accept({"storage", "storage-0", 1}, to_former);
  const auto next = accept({"storage", "storage-1", 1}, to_next);
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say();
  v1::Delivery entry = storage.outbox.begin()->second;
  const auto arrive = [&](const auto& stream, uint64_t epoch, uint64_t mid) {
    entry.set_epoch(epoch);
    entry.set_entry(100 + mid);
    entry.mutable_message()->set_mid(mid);
    std::vector<v1::Delivery> items{entry};
    stream->on_items(items);
    settle();
  };
  gateway->take();
  arrive(next, 8, 2);
  arrive(former, 7, 2);  // it was stopped for long
  arrive(former, 7, 3);
  const auto got = frames(2, frame_type::message);
  ASSERT_EQ(got.size(), 1U);
  ack(2, bob, got[0].ref());
  settle();
  ASSERT_EQ(to_next->items.size(), 1U);
  EXPECT_EQ(to_next->items[0].done(0), 102U);
  EXPECT_TRUE(to_former->items.empty());
}

TEST_F(session_actor_test, entries_that_come_again_are_not_shown_again) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say(2);
  const auto got = frames(2, frame_type::message);
  ASSERT_EQ(got.size(), 2U);
  redispatch();
  EXPECT_TRUE(mids(2).empty());
  ack(2, bob, got[0].ref());
  ack(2, bob, got[1].ref());
  settle();
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(session_actor_test, a_new_owner_shows_neither_acknowledged_nor_written_messages_again) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say(3);
  const auto got = frames(2, frame_type::message);
  ASSERT_EQ(got.size(), 3U);
  // The node dies with all its actors; the gateway had sent the acknowledgement of 1 but it was lost.
  dir.end_if([](account_id) { return true; });
  run();
  gateway->take();
  attach = connect_gateway(1);
  v1::Bind back = bind_of(2, bob, false);
  *back.add_unacked() = got[1].ref();
  *back.add_unacked() = got[2].ref();
  *back.add_written() = got[2].ref();
  bind(std::move(back));
  redispatch();
  EXPECT_TRUE(mids(2).empty());
  EXPECT_EQ(storage.outbox.size(), 2U);
  ack(2, bob, got[1].ref());
  ack(2, bob, got[2].ref());
  settle();
  EXPECT_TRUE(storage.outbox.empty());
  v1::Bind sender = bind_of(1, alice, false);
  sender.set_next_seq(4);
  bind(std::move(sender));
  say();
  EXPECT_EQ(mids(2), std::vector<int64_t>{4});
}

TEST_F(session_actor_test, losing_the_range_tells_gateways_and_dispatchers) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say();
  gateway->take();
  publish("session-1", 2);
  dir.end_if([](account_id) { return true; });
  settle();
  size_t told = 0;
  for (const auto& item : gateway->items) {
    told += item.bind_result().code() == static_cast<int32_t>(errc::wrong_owner) ? 1 : 0;
  }
  EXPECT_EQ(told, 2U);
  EXPECT_EQ(refused.size(), 1U);
  EXPECT_EQ(metrics.online + metrics.lingering, 0);
}

TEST_F(session_actor_test, terminals_of_a_gateway_that_stays_away_are_dropped_unless_bound_again) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  const gateway_ptr old = streams[0].first;
  attach->on_down();
  attach = connect_gateway(1);
  bind(bind_of(2, bob, false));
  dir.broadcast(gateway_gone_event{old});
  settle();
  EXPECT_EQ(metrics.terminals, 1);
  EXPECT_EQ(metrics.online, 1);
}

TEST_F(session_actor_test, a_login_that_is_answered_when_its_gateway_is_gone_leaves_no_terminal) {
  storage.passwords["secret"] = alice;
  v1::GatewayItem item;
  item.mutable_login()->set_conn(1);
  item.mutable_login()->set_slot_key(alice.value);
  item.mutable_login()->set_name_key("key");
  item.mutable_login()->set_password("secret");
  item.mutable_login()->set_termtyp(1);
  send(std::move(item));
  const gateway_ptr old = streams[0].first;
  attach->on_down();
  dir.broadcast(gateway_gone_event{old});
  settle();
  EXPECT_EQ(metrics.terminals, 0);
  attach = connect_gateway(1);
  ASSERT_TRUE(log_on(2, alice));
  EXPECT_EQ(metrics.terminals, 1);
}

TEST_F(session_actor_test, an_idle_actor_leaves_after_the_linger_time) {
  ASSERT_TRUE(log_on(1, alice));
  say();
  EXPECT_EQ(dir.size(), 2U);
  close(1, alice);
  pass(std::chrono::seconds(5));
  EXPECT_EQ(dir.size(), 2U);
  pass(std::chrono::seconds(11));  // from the last thing it did: friends were told that nobody is left
  EXPECT_EQ(dir.size(), 0U);
  EXPECT_EQ(metrics.lingering, 0);
  ASSERT_TRUE(log_on(5, bob));
  raw_frame(5, bob, frame_type::offlinemsg, "");
  settle();
  EXPECT_EQ(frames(5, frame_type::offlinemsg).size(), 1U);
}

TEST_F(session_actor_test, an_actor_that_dies_is_replaced_and_its_entries_come_again) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say();
  ASSERT_EQ(mids(2), std::vector<int64_t>{1});
  caf::anon_send_exit(dir.find(bob), caf::exit_reason::unhandled_exception);
  run();
  EXPECT_EQ(dir.size(), 1U);
  EXPECT_TRUE(replies->closed);
  raw_frame(2, bob, frame_type::offlinemsg, "");
  settle();
  ASSERT_TRUE(gateway->items.back().has_bind_result());
  EXPECT_EQ(gateway->items.back().bind_result().code(), static_cast<int32_t>(errc::wrong_owner));
}

TEST_F(session_actor_test, an_idle_account_with_one_terminal_takes_at_most_2600_bytes) {
  const auto log_on_many = [this](uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; ++i) {
      v1::GatewayItem item;
      *item.mutable_bind() = bind_of(i, account_id{i * 0x9E3779B97F4A7C15ULL}, true);
      send(std::move(item));
      run();
      gateway->take();
    }
  };
  log_on_many(1, 100);
  const size_t before = mallinfo2().uordblks;
  log_on_many(1000, 2000);
  EXPECT_LE((mallinfo2().uordblks - before) / 2000, 2600U);
  RecordProperty("bytes", static_cast<int>((mallinfo2().uordblks - before) / 2000));
}

TEST_F(session_actor_test, an_actor_with_terminals_does_not_leave) {
  ASSERT_TRUE(log_on(1, alice));
  for (int i = 0; i < 5; ++i) pass(std::chrono::seconds(20));
  EXPECT_EQ(dir.size(), 1U);
}

TEST_F(session_actor_test, a_gateway_queue_that_is_full_ends_the_stream) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  gateway->closed = true;
  say();
  EXPECT_TRUE(gateway->closed);
  EXPECT_EQ(storage.outbox.size(), 1U);
}

TEST_F(session_actor_test, with_a_full_window_messages_wait_in_the_log_and_come_in_order) {
  env.delivery.in_flight = 4;
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, bob));
  say(10);
  auto live = frames(2, frame_type::message);
  ASSERT_EQ(live.size(), 4U);
  std::vector<int64_t> seen;
  for (const auto& out : live) {
    seen.push_back(*message_of(out).mid);
    ack(2, bob, out.ref());
  }
  settle();
  for (const auto& list : frames(2, frame_type::offlinemsg)) {
    for (const auto& row : list_of(list)) seen.push_back(*row.mid);
    ack(2, bob, list.ref());
  }
  settle();
  EXPECT_EQ(seen, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_TRUE(storage.cursors.empty());
  EXPECT_TRUE(storage.outbox.empty());
}

}  // namespace
}  // namespace tern::session

#include "services/session/testing/requests.hpp"
#include "services/session/testing/session_fixture.hpp"

namespace tern::session {
namespace {

using wire::frame_type;

class message_test : public session_fixture {
 protected:
  void say(std::string_view what, int64_t id = 0, uint64_t seq = 0) {
    frame(1, alice, frame_type::message, text_to(bob_node, what, id), seq);
  }
  /// The value of a series; -1: not exported.
  double exported(const std::string& series) {
    const std::string text = registry.render();
    const auto at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
  }
  const std::string bob_node = to_node(bob);
};

TEST_F(message_test, the_receipt_goes_to_every_terminal_of_the_sender_and_the_message_to_the_recipient) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice));
  ASSERT_TRUE(log_on(3, bob));
  say("hi", 77);
  settle();
  const auto receipt = frames(1, frame_type::message);
  ASSERT_EQ(receipt.size(), 1U);
  EXPECT_EQ(receipt[0].ref().kind(), v1::DeliveryRef::RECEIPT);
  EXPECT_EQ(receipt[0].confirm(), 1U);
  const auto seen = message_of(receipt[0]);
  EXPECT_EQ(seen.mid, 1);
  EXPECT_EQ(seen.id, 77);
  EXPECT_EQ(seen.from_tid->node, to_node(alice));
  EXPECT_EQ(seen.from_tid->resource, "phone");
  EXPECT_TRUE(seen.timestamp);
  ASSERT_EQ(frames(2, frame_type::message).size(), 1U);
  const auto delivered = frames(3, frame_type::message);
  ASSERT_EQ(delivered.size(), 1U);
  EXPECT_EQ(delivered[0].ref().kind(), v1::DeliveryRef::MESSAGE);
  EXPECT_EQ(message_of(delivered[0]).data_string, "hi");
  EXPECT_EQ(storage.outbox.size(), 1U);
  ack(3, bob, delivered[0].ref());
  settle();
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(message_test, one_in_so_many_is_measured_by_stage) {
  ASSERT_TRUE(log_on(1, alice));
  for (uint32_t i = 0; i < 2 * metrics::stage_sampling; ++i) {
    say("hi");
    settle();
  }
  EXPECT_EQ(exported("tern_message_stage_seconds_count{stage=\"route\"}"), 2);
  EXPECT_EQ(exported("tern_message_stage_seconds_count{stage=\"authorize\"}"), 2);
}

TEST_F(message_test, deliveries_are_counted_by_where_the_sender_is) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(3, bob));
  say("hi");
  settle();
  auto arrive = [&, entry = storage.outbox.begin()->second](uint64_t mid) mutable {
    entry.set_entry(100 + mid);
    entry.mutable_message()->set_mid(mid);
    entry.mutable_message()->set_timestamp_ns(time.wall_ns() + 1);  // not missed: bob was on line
    std::vector<v1::Delivery> items{entry};
    dispatcher->on_items(items);
    settle();
  };
  const std::string of = "tern_session_delivery_seconds_count{kind=\"message\",path=";
  arrive(2);
  EXPECT_EQ(exported(of + "\"local\"}"), 2);
  EXPECT_EQ(exported(of + "\"remote\"}"), 0);
  ASSERT_NE(slot_of(alice), slot_of(bob));
  auto map = std::make_shared<placement::snapshot>(*cluster.get());
  map->version = ++map_version;
  map->sessions = placement::range_map{{{slot_of(bob), slot_of(bob), "session-0", 1}}};
  cluster.publish(map);
  arrive(3);
  EXPECT_EQ(exported(of + "\"local\"}"), 2);
  EXPECT_EQ(exported(of + "\"remote\"}"), 1);
}

TEST_F(message_test, a_terminal_at_another_gateway_under_the_same_number_gets_its_receipt) {
  ASSERT_TRUE(log_on(1, alice));
  const auto here = attach;
  const auto seen_here = gateway;
  attach = connect_gateway(2);  // of its own process: its connections are counted from 1, too
  ASSERT_TRUE(log_on(1, alice));
  const auto seen_there = gateway;
  attach = here;
  say("hi", 77);
  settle();
  for (const auto& each : {seen_here, seen_there}) {
    gateway = each;
    EXPECT_EQ(frames(1, frame_type::message).size(), 1U);
  }
}

TEST_F(message_test, the_sender_cannot_be_forged_and_an_id_is_given_if_absent) {
  ASSERT_TRUE(log_on(1, alice));
  auto forged = text_to(bob_node, "x");
  wire::tid other;
  other.node = bob_node;
  forged.from_tid = other;
  forged.mid = 99;
  forged.is_offline = true;
  frame(1, alice, frame_type::message, forged);
  settle();
  const auto got = frames(1, frame_type::message);
  ASSERT_EQ(got.size(), 1U);
  const auto seen = message_of(got[0]);
  EXPECT_EQ(seen.from_tid->node, to_node(alice));
  EXPECT_GT(*seen.id, 0);
  EXPECT_LT(*seen.id, int64_t{1} << 53);
  EXPECT_EQ(seen.mid, 1);
  EXPECT_FALSE(seen.is_offline);
}

TEST_F(message_test, a_retry_with_the_same_id_gets_the_first_mid_and_is_delivered_once) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice));
  ASSERT_TRUE(log_on(3, bob));
  say("a", 5);
  settle();
  say("a", 5);
  settle();
  const auto receipts = frames(1, frame_type::message);
  ASSERT_EQ(receipts.size(), 2U);
  EXPECT_EQ(message_of(receipts[1]).mid, 1);
  EXPECT_EQ(frames(2, frame_type::message).size(), 1U);
  EXPECT_EQ(frames(3, frame_type::message).size(), 1U);
}

TEST_F(message_test, pipelined_messages_keep_their_order) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(3, bob));
  for (const char* word : {"1", "2", "3", "4"}) say(word);
  settle();
  const auto got = frames(3, frame_type::message);
  ASSERT_EQ(got.size(), 4U);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(message_of(got[i]).mid, static_cast<int64_t>(i + 1));
    EXPECT_EQ(message_of(got[i]).data_string, std::to_string(i + 1));
  }
  EXPECT_EQ(frames(1, frame_type::message).back().confirm(), 4U);
}

TEST_F(message_test, errors_are_those_of_the_protocol) {
  ASSERT_TRUE(log_on(1, alice));
  storage.add_account(stranger);
  const auto expect = [&](const wire::tim_message& what, errc code) {
    frame(1, alice, frame_type::message, what);
    settle();
    EXPECT_EQ(error_of(1), static_cast<int32_t>(code));
  };
  auto broken = text_to("not-a-node", "x");
  expect(broken, errc::bad_account);
  const std::string own = to_node(alice);
  expect(text_to(own, "x"), errc::permission_denied);
  const std::string strange = to_node(stranger);
  expect(text_to(strange, "x"), errc::permission_denied);
  const std::string nobody = to_node(account_id{0x9999'0000'0000'0009});
  expect(text_to(nobody, "x"), errc::bad_account);
  auto what = text_to(bob_node, "x");
  what.to_tid.reset();
  expect(what, errc::bad_parameter);
  what = text_to(bob_node, "x");
  what.ms_type = 1;
  expect(what, errc::bad_parameter);
  what = text_to(bob_node, "x");
  what.to_tid->domain = "elsewhere";
  expect(what, errc::bad_account);
  for (const int8_t reserved : {int8_t{-1}, int8_t{0}, int8_t{4}, int8_t{8}, int8_t{30}}) {
    what = text_to(bob_node, "x");
    what.od_type = reserved;
    expect(what, errc::bad_parameter);
  }
  for (const int8_t later : {int8_t{2}, int8_t{3}, int8_t{6}, int8_t{7}}) {
    what = text_to(bob_node, "x");
    what.od_type = later;
    expect(what, errc::bad_interface);
  }
  what = text_to(bob_node, "x");
  what.ms_type = 3;
  expect(what, errc::bad_parameter);
  raw_frame(1, alice, frame_type::message, "\xff\xff");
  settle();
  EXPECT_EQ(error_of(1), 4113);
}

TEST_F(message_test, storage_failures_are_told_in_the_clients_words) {
  ASSERT_TRUE(log_on(1, alice));
  storage.fail_next(storage::v1::StorageRequest::kAppend, errc::deadline);
  say("x");
  settle();
  EXPECT_EQ(error_of(1), 5103);
  storage.fail_next(storage::v1::StorageRequest::kAppend, errc::overload);
  say("x");
  settle();
  EXPECT_EQ(error_of(1), 5104);
  storage.fail_next(storage::v1::StorageRequest::kAppend, errc::blocked);
  say("x");
  settle();
  EXPECT_EQ(error_of(1), 4110);
}

TEST_F(message_test, with_open_messaging_strangers_may_write_but_the_unknown_cannot_be_written_to) {
  options.open_messaging = true;
  storage.add_account(stranger);
  ASSERT_TRUE(log_on(1, alice));
  const std::string strange = to_node(stranger);
  frame(1, alice, frame_type::message, text_to(strange, "1"));
  frame(1, alice, frame_type::message, text_to(strange, "2"));
  settle();
  const auto receipts = frames(1, frame_type::message);
  ASSERT_EQ(receipts.size(), 2U);
  EXPECT_EQ(message_of(receipts[1]).data_string, "2");
  const std::string nobody = to_node(account_id{0x9999'0000'0000'0009});
  frame(1, alice, frame_type::message, text_to(nobody, "x"));
  settle();
  EXPECT_EQ(error_of(1), 4106);
}

TEST_F(message_test, a_frame_replayed_after_a_new_bind_is_stored_once_and_answered_again) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(3, bob));
  say("once");
  settle();
  ASSERT_EQ(frames(1, frame_type::message).size(), 1U);
  bind(bind_of(1, alice, false));  // the gateway did not get the confirmation
  say("once", 0, 1);
  settle();
  const auto again = frames(1, frame_type::message);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(message_of(again[0]).mid, 1);
  EXPECT_EQ(again[0].confirm(), 1U);
  EXPECT_EQ(frames(3, frame_type::message).size(), 1U);
}

TEST_F(message_test, an_append_in_flight_over_a_new_bind_gives_each_terminal_one_receipt) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(2, alice));
  say("once");
  run();  // asked, not answered
  v1::GatewayItem again;
  *again.mutable_bind() = bind_of(1, alice, false);
  send(std::move(again));
  say("once", 0, 1);
  settle();
  EXPECT_EQ(frames(1, frame_type::message).size(), 1U);
  EXPECT_EQ(frames(2, frame_type::message).size(), 1U);
}

TEST_F(message_test, frames_that_come_again_while_they_are_being_stored_are_not_asked_for_twice) {
  ASSERT_TRUE(log_on(1, alice));
  say("one");
  say("two");
  run();
  const size_t asked = storage.waiting();
  v1::GatewayItem again;
  *again.mutable_bind() = bind_of(1, alice, false);
  send(std::move(again));
  for (uint64_t seq : {1, 2}) {
    raw_frame(1, alice, frame_type::message,
              wire::encode(wire::encoding::thrift, text_to(bob_node, seq == 1 ? "one" : "two")), seq, true);
  }
  run();
  EXPECT_EQ(storage.waiting(), asked);
  settle();
  const auto seen = frames(1, frame_type::message);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(message_of(seen[0]).mid, 1);
  EXPECT_EQ(message_of(seen[1]).mid, 2);
  EXPECT_EQ(seen[1].confirm(), 2U);
}

TEST_F(message_test, an_acknowledgement_counts_while_the_lease_is_being_renewed) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(3, bob));
  say("hi");
  settle();
  const auto delivered = frames(3, frame_type::message);
  ASSERT_EQ(delivered.size(), 1U);
  lease = false;
  ack(3, bob, delivered[0].ref());
  settle();
  lease = true;
  settle();
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(message_test, who_logs_on_again_over_a_new_stream_gets_what_was_lost_with_the_old_one) {
  ASSERT_TRUE(log_on(1, alice));
  ASSERT_TRUE(log_on(3, bob));
  say("hi");
  settle();
  ASSERT_EQ(frames(3, frame_type::message).size(), 1U);  // lost with the stream, as was the result of the login
  attach = connect_gateway(1);
  ASSERT_TRUE(log_on(3, bob));
  const auto seen = frames(3, frame_type::message);
  ASSERT_EQ(seen.size(), 1U);
  ack(3, bob, seen[0].ref());
  settle();
  EXPECT_TRUE(storage.outbox.empty());
}

TEST_F(message_test, a_gap_in_the_numbers_asks_the_gateway_to_bind_again) {
  ASSERT_TRUE(log_on(1, alice));
  gateway->take();
  say("x", 0, 3);
  settle();
  ASSERT_EQ(gateway->items.size(), 1U);
  ASSERT_TRUE(gateway->items[0].has_bind_result());
  EXPECT_EQ(gateway->items[0].bind_result().code(), static_cast<int32_t>(errc::wrong_owner));
}

}  // namespace
}  // namespace tern::session

#include "services/session/rooms/live_room.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "libs/wire/codec.hpp"
#include "libs/wire/message.hpp"

namespace tern::session {
namespace {

constexpr account_id alice{1};
constexpr account_id bob{2};
constexpr account_id carol{3};

class live_room_test : public ::testing::Test {
 protected:
  live_room_test() {
    wire::tim_message text;
    text.ms_type = 3;
    text.od_type = 1;
    text.data_string = "hello";
    wire::encode_stored(text, body);
  }
  room_row row(uint64_t mid, account_id sender = alice) {
    return {mid, sender, static_cast<int64_t>(10 * mid), body, 0, 0, 0};
  }
  room_terminal terminal(uint64_t conn, std::optional<uint64_t> written = std::nullopt) {
    return {gateway, conn, written};
  }
  /// Of a login just after message `mid` was stored.
  room_terminal login_after(uint64_t mid, uint64_t conn) {
    return {gateway, conn, {}, 0, static_cast<int64_t>(10 * mid + 5)};
  }
  live_room::frame_verdict take(uint64_t mid, account_id sender = alice) {
    std::vector<room_send> out;
    const auto verdict = room.take(row(mid, sender), out);
    note(out);
    return verdict;
  }
  bool fill(uint64_t from, const std::vector<uint64_t>& found, uint64_t reached) {
    std::vector<room_row> rows;
    for (const uint64_t mid : found) rows.push_back(row(mid));
    room.begin_read();
    return answer(from, rows, reached);
  }
  /// Of the read that began before.
  bool answer(uint64_t from, const std::vector<room_row>& rows, uint64_t reached) {
    std::vector<room_send> out;
    const bool further = room.fill(from, rows, reached, out);
    note(out);
    return further;
  }
  void note(std::vector<room_send>& sends) {
    for (room_send& one : sends) {
      for (const uint64_t conn : one.item.room_out().conns()) {
        got[conn].push_back(one.item.room_out().mid());
        order.push_back(conn);
      }
      last = std::move(one.item);
    }
  }
  std::vector<uint64_t> seen(uint64_t conn) { return std::exchange(got[conn], {}); }
  using mids = std::vector<uint64_t>;

  std::string body;
  gateway_ptr gateway = std::make_shared<gateway_stream>();
  gateway_ptr other = std::make_shared<gateway_stream>();
  live_room room{room_id{77}};
  std::map<uint64_t, mids> got;
  mids order;
  v1::SessionItem last;
};

TEST_F(live_room_test, what_is_of_the_moment_reaches_members_wherever_they_stand_but_not_its_sender) {
  room.join(alice, 5, false, {terminal(1), {other, 2, {}}});
  room.join(bob, 5, false, {terminal(3)});
  room.join(carol, 1, false, {terminal(4), {other, 5, {}}});  // behind
  const auto pass_on = [&](account_id sender) {
    std::vector<room_send> out;
    room.pass_on({sender, "now", 7, 8}, out);
    std::map<uint64_t, size_t> reached;
    for (const room_send& one : out) {
      EXPECT_EQ(one.item.room_out().payload(), "now");
      EXPECT_EQ(one.item.room_out().room(), 77U);
      EXPECT_EQ(one.item.room_out().mid(), 0U);
      EXPECT_EQ(one.item.room_out().trace(), 7U);
      EXPECT_EQ(one.item.room_out().accepted_ns(), 8);
      EXPECT_TRUE(one.item.room_out().live());
      for (const uint64_t conn : one.item.room_out().conns()) {
        ++reached[conn];
        EXPECT_EQ(one.gateway, conn == 2 || conn == 5 ? other : gateway);
      }
    }
    return reached;
  };
  using counts = std::map<uint64_t, size_t>;
  EXPECT_EQ(pass_on(alice), (counts{{3, 1}, {4, 1}, {5, 1}})) << "all wait for the newest mid";
  room.set_head(5);
  EXPECT_EQ(room.place_of(carol), room_place::behind);
  EXPECT_EQ(pass_on(bob), (counts{{1, 1}, {2, 1}, {4, 1}, {5, 1}}));
  room.attach(bob, terminal(6, 3));  // lags
  EXPECT_EQ(pass_on(alice), (counts{{3, 1}, {4, 1}, {5, 1}, {6, 1}}));
  EXPECT_EQ(pass_on(account_id{9}).size(), 6U) << "the sender has no terminal here";
  EXPECT_EQ(room.last(), 5U);
  EXPECT_EQ(room.position(bob), 5U);
  room.leave(bob);
  room.leave(carol);
  EXPECT_TRUE(pass_on(alice).empty());
}

TEST_F(live_room_test, what_was_there_before_a_login_is_offline_when_it_is_repeated_over_another_stream) {
  room.join(alice, 2, false, {terminal(1, 5)});
  room.set_head(5);
  const auto offline = [&] {
    const auto payload = std::string(last.room_out().payload());
    wire::arena memory;
    return wire::decode<wire::tim_message>(wire::encoding::thrift, payload, memory)->is_offline.value_or(false);
  };
  room.attach(alice, {other, 2, {}, 0, 55});  // has no more than the stored position
  gateway_ptr again = std::make_shared<gateway_stream>();
  room.rebind(alice, *other, {again, 2, {}, 0, 55});
  ASSERT_TRUE(fill(2, {3, 4, 5}, 5));
  EXPECT_EQ(seen(2), (mids{3, 4, 5}));
  EXPECT_TRUE(offline());
  // All of it was lost with that stream, and what came afterwards is new.
  gateway_ptr third = std::make_shared<gateway_stream>();
  take(6);
  EXPECT_FALSE(offline());
  room.rebind(alice, *again, {third, 2, {}, 0, 55});
  seen(2);
  ASSERT_TRUE(fill(2, {3, 4, 5}, 5));
  EXPECT_EQ(seen(2), (mids{3, 4, 5}));
  EXPECT_TRUE(offline());
  ASSERT_TRUE(fill(5, {6}, 6));
  EXPECT_EQ(seen(2), (mids{6}));
  EXPECT_FALSE(offline());
}

TEST_F(live_room_test, a_frame_older_than_the_login_is_read_because_it_may_be_taken_back_by_now) {
  room.set_head(5);
  room.join(alice, 5, false, {terminal(1)});
  room.join(bob, 5, false, {login_after(7, 2)});
  take(6);
  EXPECT_EQ(seen(1), (mids{6}));
  EXPECT_TRUE(seen(2).empty());
  EXPECT_EQ(room.missing(), 5U);
  take(7);
  take(8);
  EXPECT_TRUE(seen(2).empty());  // not before what is older
  EXPECT_TRUE(fill(5, {7}, 7));  // 6 is a tombstone
  EXPECT_TRUE(fill(7, {8}, 8));
  EXPECT_EQ(seen(2), (mids{7, 8}));
  take(9);
  EXPECT_EQ(seen(2), (mids{9}));
  EXPECT_EQ(seen(1), (mids{7, 8, 9}));
}

TEST_F(live_room_test, who_comes_after_a_read_began_gets_nothing_of_it) {
  room.set_head(5);
  room.join(alice, 5, false, {terminal(1)});
  take(7);
  room.begin_read();
  room.join(bob, 5, false, {terminal(2)});
  EXPECT_TRUE(answer(5, {row(6), row(7)}, 7));
  EXPECT_EQ(seen(1), (mids{6, 7}));
  EXPECT_TRUE(seen(2).empty());
  EXPECT_EQ(room.missing(), 5U);
  fill(5, {7}, 7);
  EXPECT_EQ(seen(2), (mids{7}));
  EXPECT_EQ(room.missing(), std::nullopt);
}

TEST_F(live_room_test, members_wait_until_the_newest_mid_is_known) {
  EXPECT_EQ(room.join(alice, 5, false, {terminal(1)}), room_place::waiting);
  EXPECT_EQ(room.join(bob, 3, false, {terminal(2)}), room_place::waiting);
  auto told = room.set_head(5);
  std::sort(told.begin(), told.end());
  EXPECT_EQ(told, (std::vector<account_id>{alice, bob}));
  EXPECT_EQ(room.place_of(alice), room_place::live);
  EXPECT_EQ(room.place_of(bob), room_place::behind);
  EXPECT_EQ(take(6), live_room::frame_verdict::taken);
  EXPECT_EQ(seen(1), mids{6});
  EXPECT_TRUE(seen(2).empty());
  EXPECT_EQ(room.take_asleep(), std::vector<account_id>{bob});
  EXPECT_TRUE(room.take_asleep().empty());
}

TEST_F(live_room_test, one_item_per_gateway_names_all_connections_the_senders_first) {
  room.set_head(0);
  room.join(alice, 0, false, {terminal(1)});
  room.join(bob, 0, false, {terminal(2), {other, 20, {}}});
  room.join(carol, 0, false, {terminal(3), terminal(4)});
  std::vector<room_send> out;
  room.take(row(1, carol), out);
  ASSERT_EQ(out.size(), 2U);
  const auto& conns = out[0].item.room_out().conns();
  ASSERT_EQ(conns.size(), 4);
  EXPECT_EQ((mids{std::min(conns[0], conns[1]), std::max(conns[0], conns[1])}), (mids{3, 4}));
  EXPECT_EQ(out[1].gateway, other);
  EXPECT_EQ(out[1].item.room_out().conns_size(), 1);
}

TEST_F(live_room_test, the_senders_gateway_comes_first) {
  room.set_head(0);
  room.join(alice, 0, false, {terminal(1)});
  room.join(bob, 0, false, {{other, 20, {}}});
  room.join(carol, 0, false, {terminal(3)});
  std::vector<room_send> out;
  room.take(row(1, bob), out);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].gateway, other);
  EXPECT_EQ(out[1].gateway, gateway);
  out.clear();
  room.take(row(2, carol), out);
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0].gateway, gateway);
}

TEST_F(live_room_test, a_frame_that_came_before_is_dropped_and_a_gap_is_read_from_the_log) {
  room.set_head(4);
  room.join(alice, 4, false, {terminal(1)});
  EXPECT_EQ(take(4), live_room::frame_verdict::old);
  EXPECT_FALSE(room.missing().has_value());
  EXPECT_EQ(take(7), live_room::frame_verdict::gap);
  EXPECT_EQ(take(8), live_room::frame_verdict::gap);
  EXPECT_EQ(room.missing(), 4U);
  EXPECT_TRUE(fill(4, {5, 7}, 7));  // 6 is a tombstone
  EXPECT_EQ(room.missing(), 7U);
  EXPECT_TRUE(fill(7, {8}, 8));
  EXPECT_FALSE(room.missing().has_value());
  EXPECT_EQ(take(9), live_room::frame_verdict::taken);
  EXPECT_EQ(seen(1), (mids{5, 7, 8, 9}));
}

TEST_F(live_room_test, a_new_head_after_another_subscription_is_a_gap) {
  room.set_head(4);
  room.join(alice, 4, false, {terminal(1)});
  EXPECT_TRUE(room.set_head(6).empty());
  EXPECT_EQ(room.missing(), 4U);
  fill(4, {5, 6}, 6);
  EXPECT_EQ(seen(1), (mids{5, 6}));
}

TEST_F(live_room_test, a_frame_during_the_read_is_not_sent_twice) {
  room.set_head(4);
  room.join(alice, 4, false, {terminal(1)});
  room.attach(alice, terminal(2, 2));        // bound again, had 3 and 4 on the way
  EXPECT_FALSE(room.missing().has_value());  // the account had acknowledged up to 4 when it joined
  room.join(bob, 4, false, {terminal(3, 4)});
  room.rebind(bob, *gateway, {other, 3, 4});
  EXPECT_EQ(take(5), live_room::frame_verdict::taken);
  EXPECT_EQ(seen(1), mids{5});
  EXPECT_EQ(seen(2), mids{5});
  EXPECT_EQ(seen(3), mids{5});
}

TEST_F(live_room_test, a_terminal_bound_again_gets_what_was_lost_with_its_link_and_nothing_twice) {
  room.set_head(0);
  room.join(alice, 0, false, {terminal(1), terminal(2)});
  for (uint64_t mid = 1; mid <= 5; ++mid) take(mid);
  EXPECT_EQ(seen(2).size(), 5U);
  room.rebind(alice, *gateway, {other, 2, 3});  // 4 and 5 were lost
  EXPECT_EQ(room.missing(), 3U);
  take(6);
  EXPECT_EQ(seen(1), (mids{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(seen(2).empty());
  fill(3, {4, 5, 6}, 6);
  EXPECT_EQ(seen(2), (mids{4, 5, 6}));
  EXPECT_TRUE(seen(1).empty());
  take(7);
  EXPECT_EQ(seen(2), mids{7});
}

TEST_F(live_room_test, at_a_new_owner_each_terminal_goes_on_from_what_was_written_to_it) {
  room.join(alice, 2, false, {terminal(1, 5), terminal(2, 4)});
  room.set_head(6);
  EXPECT_EQ(room.place_of(alice), room_place::live);
  EXPECT_EQ(room.missing(), 4U);
  fill(4, {5, 6}, 6);
  EXPECT_EQ(seen(1), mids{6});
  EXPECT_EQ(seen(2), (mids{5, 6}));
}

TEST_F(live_room_test, lists_under_way_and_long_gaps_go_the_way_of_the_log) {
  room.set_head(2000);
  EXPECT_EQ(room.join(alice, 1990, true, {terminal(1, 1995)}), room_place::behind);
  EXPECT_EQ(room.join(bob, 10, false, {terminal(2, 1000)}), room_place::behind);
}

TEST_F(live_room_test, a_new_terminal_of_a_live_account_gets_what_is_not_acknowledged) {
  room.set_head(0);
  room.join(alice, 0, false, {terminal(1)});
  for (uint64_t mid = 1; mid <= 4; ++mid) take(mid);
  EXPECT_TRUE(room.acked(alice, gateway.get(), 2));
  room.attach(alice, login_after(4, 2));
  EXPECT_EQ(room.missing(), 2U);
  fill(2, {3, 4}, 4);
  EXPECT_EQ(seen(2), (mids{3, 4}));
  wire::arena memory;
  const auto shown = wire::decode<wire::tim_message>(wire::encoding::thrift, last.room_out().payload(), memory);
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->is_offline, true);
  EXPECT_EQ(shown->mid, 4);
}

TEST_F(live_room_test, a_drain_ends_live_where_the_room_is_or_goes_on) {
  room.set_head(1000);
  room.join(alice, 3, false, {terminal(1)});
  EXPECT_EQ(room.make_live(alice, 100), 1000U);
  EXPECT_EQ(room.place_of(alice), room_place::behind);
  EXPECT_EQ(room.make_live(alice, 998), 0U);
  EXPECT_EQ(room.missing(), 998U);
  take(1001);
  fill(998, {999, 1000, 1001}, 1001);
  EXPECT_EQ(seen(1), (mids{999, 1000, 1001}));
  EXPECT_EQ(room.take_position(alice), 0U) << "the drain has stored its position";
}

TEST_F(live_room_test,
       after_lists_for_others_a_terminal_goes_on_from_its_own_position_but_not_from_before_the_account_joined) {
  room.set_head(9);
  EXPECT_EQ(room.join(alice, 6, false, {terminal(1)}), room_place::behind);
  room.attach(alice, terminal(2, 8));
  room.attach(alice, terminal(3, 4));  // it was a member until then, and is one again since 6
  EXPECT_FALSE(room.placed(alice, *gateway, 1));
  EXPECT_TRUE(room.placed(alice, *gateway, 2));
  EXPECT_EQ(room.make_live(alice, 9), 0U);
  EXPECT_EQ(room.missing(), 6U);
  fill(6, {7, 8, 9}, 9);
  EXPECT_TRUE(seen(1).empty());
  EXPECT_EQ(seen(2), mids{9});
  EXPECT_EQ(seen(3), (mids{7, 8, 9}));
}

TEST_F(live_room_test, a_drain_that_saw_more_than_the_hub_skips_those_frames) {
  room.set_head(5);
  room.join(alice, 3, false, {terminal(1)});
  room.join(bob, 5, false, {terminal(2)});
  EXPECT_EQ(room.make_live(alice, 7), 0U);
  for (uint64_t mid = 6; mid <= 8; ++mid) EXPECT_EQ(take(mid), live_room::frame_verdict::taken);
  EXPECT_EQ(seen(1), mids{8});
  EXPECT_EQ(seen(2), (mids{6, 7, 8}));
}

TEST_F(live_room_test, who_was_drained_before_the_newest_mid_was_known_goes_on_from_there) {
  room.join(alice, 3, false, {terminal(1)});
  EXPECT_EQ(room.give_up_waiting(), std::vector<account_id>{alice});
  EXPECT_EQ(room.make_live(alice, 6), 0U);
  EXPECT_EQ(room.place_of(alice), room_place::waiting);
  EXPECT_TRUE(room.give_up_waiting().empty());
  room.set_head(7);
  EXPECT_EQ(room.place_of(alice), room_place::live);
  fill(6, {7}, 7);
  EXPECT_EQ(seen(1), mids{7});
}

TEST_F(live_room_test, who_left_gets_nothing_even_in_the_middle_of_a_gap) {
  room.set_head(0);
  room.join(alice, 0, false, {terminal(1)});
  room.join(bob, 0, false, {terminal(2)});
  take(3);
  room.leave(bob);
  fill(0, {1, 2, 3}, 3);
  EXPECT_EQ(seen(1), (mids{1, 2, 3}));
  EXPECT_TRUE(seen(2).empty());
  EXPECT_FALSE(room.detach(alice, *gateway, 1));
  room.leave(alice);
  EXPECT_TRUE(room.empty());
}

TEST_F(live_room_test, acknowledgements_count_only_over_the_stream_the_terminals_are_bound_over) {
  room.set_head(0);
  room.join(alice, 0, false, {terminal(1)});
  for (uint64_t mid = 1; mid <= 3; ++mid) take(mid);
  EXPECT_FALSE(room.acked(alice, other.get(), 3));
  EXPECT_TRUE(room.acked(alice, gateway.get(), 2));
  EXPECT_FALSE(room.acked(alice, gateway.get(), 3)) << "known already";
  EXPECT_EQ(room.take_position(alice), 3U);
  EXPECT_EQ(room.take_position(alice), 0U);
  EXPECT_FALSE(room.acked(alice, gateway.get(), 1));
  EXPECT_TRUE(room.store_failed(alice, 3));
  EXPECT_EQ(room.take_position(alice), 3U);
}

TEST_F(live_room_test, a_recall_is_shown_under_the_number_of_its_target) {
  room.set_head(4);
  room.join(alice, 4, false, {terminal(1)});
  std::vector<room_send> out;
  room_row recall = row(5);
  recall.target = 2;
  room.take(recall, out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].item.room_out().mid(), 5U);
  wire::arena memory;
  const auto shown =
      wire::decode<wire::tim_message>(wire::encoding::thrift, out[0].item.room_out().payload(), memory);
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->mid, 2);
}

TEST_F(live_room_test, a_frame_for_five_thousand_terminals_is_one_item) {
  room.set_head(0);
  for (uint64_t i = 1; i <= 5000; ++i) room.join(account_id{i}, 0, false, {terminal(i)});
  std::vector<room_send> out;
  room.take(row(1), out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(out[0].item.room_out().conns_size(), 5000);
  EXPECT_EQ(out[0].item.room_out().conns(0), 1U);
}

TEST_F(live_room_test, what_a_terminal_had_acknowledged_elsewhere_counts_and_what_another_one_misses_still_comes) {
  room.set_head(90);
  room.join(alice, 40, false, {{gateway, 1, 90, 89}, {other, 2, 60, 60}, {other, 3, {}, 0}});
  EXPECT_EQ(room.position(alice), 89U);
  EXPECT_TRUE(room.note_position(alice));
  EXPECT_FALSE(room.note_position(alice)) << "known already";
  EXPECT_EQ(room.missing(), 60U);
  fill(60, {61, 89, 90}, 90);
  EXPECT_TRUE(seen(1).empty());
  EXPECT_EQ(seen(2), (mids{61, 89, 90}));
  EXPECT_EQ(seen(3), (mids{90}));
  EXPECT_EQ(room.take_position(alice), 89U);
  EXPECT_EQ(room.take_position(alice), 0U);
  room.attach(alice, {other, 4, 90, 90});
  EXPECT_EQ(room.position(alice), 90U);
  EXPECT_TRUE(room.note_position(alice));
}

}  // namespace
}  // namespace tern::session

#include "libs/delivery/account_delivery.hpp"

namespace tern::delivery {
namespace {

const conversation_id talk{7, 1};
const account_id friend_id{9};

/// Writes down every effect.
class recorder final : public port {
 public:
  void deliver(terminal_set to, const message& what) override {
    say("deliver " + std::to_string(to) + " " + std::to_string(what.mid));
  }
  void deliver_batch(terminal_set to, const conversation_id&, uint64_t batch,
                     const std::vector<message>& rows) override {
    say("batch " + std::to_string(to) + " " + std::to_string(batch) + " of " + std::to_string(rows.size()));
  }
  void deliver_notice(terminal_set to, uint64_t id, const std::string&, bool from_backlog) override {
    say("notice " + std::to_string(to) + " " + std::to_string(id) + (from_backlog ? " stored" : ""));
  }
  void drained(terminal_set to) override { say("end " + std::to_string(to)); }
  void acknowledged(const message&) override {}
  void done(const entry_ref& entry) override { say("done " + std::to_string(entry.entry)); }
  void put_cursor(const conversation_id&, account_id, cursor_change kind, uint64_t delivered) override {
    static constexpr const char* names[] = {"mark ", "advance ", "clear "};
    say(names[static_cast<size_t>(kind)] + std::to_string(delivered));
  }
  void load_backlog() override { say("load"); }
  void read(const conversation_id&, uint64_t after, uint64_t token) override {
    say("read " + std::to_string(after));
    last_token = token;
  }
  bool predates(const message& what) override { return what.timestamp_ns < 0; }
  terminal_set listeners(const conversation_id&, terminal_set all) override { return all & ~placed; }
  uint64_t make_live(const conversation_id&, uint64_t reached) override {
    say("live " + std::to_string(reached));
    return std::exchange(newer, 0);
  }
  void drop_notices(const std::vector<uint64_t>& ids) override { say("drop " + std::to_string(ids.front())); }
  void later() override { say("later"); }

  std::vector<std::string> take() { return std::exchange(said, {}); }

  std::vector<std::string> said;
  uint64_t last_token = 0;
  uint64_t newer = 0;       // the next answer of make_live
  terminal_set placed = 0;  // have positions of their own in the room

 private:
  void say(std::string what) { said.push_back(std::move(what)); }
};

using effects = std::vector<std::string>;

class account_delivery_test : public ::testing::Test {
 protected:
  message_ptr text(uint64_t mid) { return std::make_shared<message>(message{talk, friend_id, mid, 1, "body", 0, 0}); }
  message_ptr recall(uint64_t mid, uint64_t target) {
    return std::make_shared<message>(message{talk, friend_id, mid, 1, "recall", 0, 0, target});
  }
  void arrive(uint64_t mid) { box.on_message({nullptr, mid}, text(mid)); }
  page rows(std::vector<uint64_t> mids, uint64_t head, uint64_t reached) {
    page found{{}, head, reached};
    for (const uint64_t mid : mids) found.rows.push_back(*text(mid));
    return found;
  }
  /// Attaches terminal `slot` and answers the backlog read with nothing.
  void on_line(terminal_slot slot) {
    box.attach(slot);
    box.on_drain_request(slot);
    box.on_backlog({});
    out.take();
  }

  recorder out;
  delivery_limits limits;
  account_delivery box{out, limits};
};

TEST_F(account_delivery_test, a_message_goes_to_all_terminals_and_is_done_with_the_first_ack) {
  on_line(0);
  on_line(1);
  arrive(1);
  EXPECT_EQ(out.take(), effects{"deliver 3 1"});
  box.on_message_ack(1, {talk, 1});
  EXPECT_EQ(out.take(), effects{"done 1"});
  box.on_message_ack(0, {talk, 1});
  EXPECT_EQ(out.take(), effects{});
  EXPECT_EQ(box.unacked(), 0U);
}

TEST_F(account_delivery_test, what_was_stored_before_the_terminals_logged_on_is_read_from_the_log) {
  on_line(0);
  auto old = std::make_shared<message>(*text(1));
  old->timestamp_ns = -1;
  box.on_message({nullptr, 1}, old);
  EXPECT_EQ(out.take(), effects{"mark 0"});
  box.on_cursor(talk, cursor_change::mark, true);
  EXPECT_EQ(out.take(), (effects{"done 1", "read 0"}));
  box.on_page(talk, out.last_token, rows({}, 2, 2));  // taken back meanwhile
  EXPECT_EQ(out.take(), effects{"clear 2"});
}

TEST_F(account_delivery_test, the_backlog_is_read_before_the_first_live_message) {
  box.attach(0);
  arrive(5);
  arrive(6);
  EXPECT_EQ(out.take(), (effects{"load"}));
  box.on_backlog({});
  EXPECT_EQ(out.take(), (effects{"deliver 1 5", "deliver 1 6"}));
}

TEST_F(account_delivery_test, a_message_for_a_dirty_conversation_starts_a_drain_and_order_is_kept) {
  box.attach(0);
  arrive(5);
  box.on_backlog({{{talk, friend_id, 2}}, {}, false});
  EXPECT_EQ(out.take(), (effects{"load", "done 5", "read 2"}));
  box.on_page(talk, out.last_token, rows({3, 4, 5}, 5, 5));
  arrive(6);
  EXPECT_EQ(out.take(), (effects{"batch 1 5 of 3", "done 6"}));
  box.on_batch_ack(0, {talk, 5});
  EXPECT_EQ(out.take(), (effects{"advance 5", "read 5"}));
  box.on_page(talk, out.last_token, rows({6}, 6, 6));
  box.on_batch_ack(0, {talk, 6});
  EXPECT_EQ(out.take(), (effects{"batch 1 6 of 1", "clear 6"}));
  arrive(7);
  EXPECT_EQ(out.take(), effects{"deliver 1 7"});
}

TEST_F(account_delivery_test, off_line_the_conversation_is_marked_once_per_burst) {
  arrive(4);
  arrive(5);
  EXPECT_EQ(out.take(), effects{"mark 3"});
  EXPECT_FALSE(box.idle());
  box.on_cursor(talk, cursor_change::mark, true);
  EXPECT_EQ(out.take(), (effects{"done 4", "done 5"}));
  arrive(6);
  EXPECT_EQ(out.take(), effects{"done 6"});
  EXPECT_TRUE(box.idle());
}

TEST_F(account_delivery_test, a_failed_mark_is_written_again_before_anything_is_done) {
  arrive(4);
  box.on_cursor(talk, cursor_change::mark, false);
  EXPECT_EQ(out.take(), (effects{"mark 3", "later"}));
  box.on_timer();
  EXPECT_EQ(out.take(), effects{"mark 3"});
  box.on_cursor(talk, cursor_change::mark, true);
  EXPECT_EQ(out.take(), effects{"done 4"});
}

TEST_F(account_delivery_test, what_a_lost_terminal_had_unacknowledged_is_marked_from_its_first) {
  on_line(0);
  arrive(1);
  arrive(2);
  arrive(3);
  box.on_message_ack(0, {talk, 2});
  out.take();
  box.detach(0);
  EXPECT_EQ(out.take(), effects{"mark 0"});
  box.on_cursor(talk, cursor_change::mark, true);
  EXPECT_EQ(out.take(), (effects{"done 1", "done 3"}));
}

TEST_F(account_delivery_test, a_new_terminal_gets_what_is_unacknowledged_elsewhere) {
  on_line(0);
  arrive(1);
  out.take();
  box.attach(1);
  EXPECT_EQ(out.take(), effects{"deliver 2 1"});
  box.detach(0);
  EXPECT_EQ(out.take(), effects{});
  box.on_message_ack(1, {talk, 1});
  EXPECT_EQ(out.take(), effects{"done 1"});
}

TEST_F(account_delivery_test, a_repeated_entry_is_not_sent_again) {
  on_line(0);
  arrive(1);
  arrive(1);
  EXPECT_EQ(out.take(), effects{"deliver 1 1"});
  box.on_message_ack(0, {talk, 1});
  arrive(1);
  EXPECT_EQ(out.take(), (effects{"done 1", "done 1"}));
}

TEST_F(account_delivery_test, an_entry_that_comes_after_its_successor_is_no_repeat) {
  on_line(0);
  arrive(1);
  arrive(4);
  out.take();
  arrive(3);
  EXPECT_EQ(out.take(), effects{"deliver 1 3"});
  arrive(2);
  EXPECT_EQ(out.take(), effects{"deliver 1 2"});
  for (const uint64_t mid : {1, 2, 3, 4}) box.on_message_ack(0, {talk, mid});
  out.take();
  arrive(3);
  EXPECT_EQ(out.take(), effects{"done 3"});
}

TEST_F(account_delivery_test, a_late_message_lost_with_a_link_is_sent_again_though_newer_ones_are_written) {
  on_line(0);
  arrive(1);
  arrive(3);
  arrive(2);
  out.take();
  restored what;
  what.written = {{talk, 3}};
  what.messages = {{talk, 1}, {talk, 3}};
  box.reattach(0, what);
  EXPECT_EQ(out.take().front(), "deliver 1 2");
}

TEST_F(account_delivery_test, an_asked_drain_ends_when_all_is_acknowledged) {
  box.attach(0);
  box.on_drain_request(0);
  box.on_backlog({{{talk, friend_id, 0}}, {{77, "n"}}, false});
  EXPECT_EQ(out.take(), (effects{"load", "notice 1 77 stored", "read 0"}));
  box.on_page(talk, out.last_token, rows({1, 2}, 2, 2));
  box.on_batch_ack(0, {talk, 2});
  EXPECT_EQ(out.take(), (effects{"batch 1 2 of 2", "clear 2"}));
  box.on_notice_ack(0, 77);
  EXPECT_EQ(out.take(), (effects{"drop 77", "end 1"}));
}

TEST_F(account_delivery_test, an_empty_backlog_ends_the_drain_at_once) {
  box.attach(0);
  box.on_drain_request(0);
  box.on_backlog({});
  EXPECT_EQ(out.take(), (effects{"load", "end 1"}));
}

TEST_F(account_delivery_test, a_drain_broken_off_starts_again_at_the_last_acknowledged_batch) {
  box.attach(0);
  box.on_drain_request(0);
  box.on_backlog({{{talk, friend_id, 0}}, {}, false});
  box.on_page(talk, out.last_token, rows({1, 2}, 9, 2));
  box.on_batch_ack(0, {talk, 2});
  box.on_page(talk, out.last_token, rows({3, 4}, 9, 4));
  out.take();
  box.detach(0);
  box.attach(1);
  box.on_drain_request(1);
  box.on_backlog({{{talk, friend_id, 2}}, {}, false});
  EXPECT_EQ(out.take(), (effects{"load", "read 2"}));
}

TEST_F(account_delivery_test, with_a_full_window_conversations_turn_dirty_and_drain_later) {
  limits.in_flight = 2;
  on_line(0);
  arrive(1);
  arrive(2);
  arrive(3);
  EXPECT_EQ(out.take(), (effects{"deliver 1 1", "deliver 1 2", "mark 0"}));
  box.on_cursor(talk, cursor_change::mark, true);
  EXPECT_EQ(out.take(), effects{"done 3"});
  box.on_message_ack(0, {talk, 1});
  EXPECT_EQ(out.take(), (effects{"done 1", "advance 1"}));
  box.on_message_ack(0, {talk, 2});
  EXPECT_EQ(out.take(), (effects{"done 2", "advance 2", "read 2"}));
}

TEST_F(account_delivery_test, a_stored_position_stays_below_what_is_on_its_way) {
  limits.in_flight = 3;
  on_line(0);
  for (const uint64_t mid : {1, 2, 3, 4}) arrive(mid);
  box.on_cursor(talk, cursor_change::mark, true);
  box.on_message_ack(0, {talk, 2});  // not the first
  EXPECT_EQ(out.take(), (effects{"deliver 1 1", "deliver 1 2", "deliver 1 3", "mark 0", "done 4", "done 2"}));
  box.detach(0);
  EXPECT_EQ(out.take(), (effects{"done 1", "done 3"}));  // the log brings them, before the fourth
  box.attach(1);
  box.on_timer();
  EXPECT_EQ(out.take(), effects{"read 0"});
}

TEST_F(account_delivery_test, an_advance_that_was_not_stored_is_written_again) {
  limits.in_flight = 1;
  on_line(0);
  arrive(1);
  arrive(2);
  box.on_cursor(talk, cursor_change::mark, true);
  box.on_message_ack(0, {talk, 1});
  out.take();
  box.on_cursor(talk, cursor_change::advance, false);
  EXPECT_EQ(out.take(), effects{"later"});
  box.on_timer();
  EXPECT_EQ(out.take(), effects{"advance 1"});
}

TEST_F(account_delivery_test, after_an_owner_change_acknowledged_messages_are_done_and_unacknowledged_ones_wait) {
  restored what;
  what.written = {{talk, 5}};
  what.messages = {{talk, 4}};
  box.reattach(0, what);
  out.take();
  arrive(3);
  arrive(4);
  arrive(5);
  // Whether it is one for the log is known with the backlog only.
  EXPECT_EQ(out.take(), (effects{"done 3", "load", "done 5"}));
  arrive(6);
  box.on_backlog({});
  EXPECT_EQ(out.take(), effects{"deliver 1 6"});
  box.on_message_ack(0, {talk, 4});
  EXPECT_EQ(out.take(), effects{"done 4"});
}

TEST_F(account_delivery_test, what_a_former_owners_terminal_waits_for_goes_to_those_who_came_without_it) {
  on_line(0);
  box.reattach(1, {{{talk, 5}}, {}, {}, {{talk, 5}}});
  out.take();
  arrive(5);
  arrive(6);
  EXPECT_EQ(out.take(), (effects{"deliver 1 5", "deliver 3 6"}));
  box.detach(1);
  box.detach(0);
  // The first one had nothing of it acknowledged.
  EXPECT_EQ(out.take(), effects{"mark 4"});
}

TEST_F(account_delivery_test, entries_marked_before_the_terminal_came_back_are_not_sent_twice) {
  arrive(4);
  box.on_cursor(talk, cursor_change::mark, true);
  restored what;
  what.written = {{talk, 4}};
  what.messages = {{talk, 4}};
  box.reattach(0, what);
  box.on_timer();
  box.on_backlog({{{talk, friend_id, 3}}, {}, false});
  out.take();
  box.on_message_ack(0, {talk, 4});
  EXPECT_EQ(out.take(), (effects{"advance 4", "read 4"}));
  box.on_page(talk, out.last_token, rows({}, 4, 4));
  EXPECT_EQ(out.take(), effects{"clear 4"});
}

TEST_F(account_delivery_test, a_relinked_terminal_gets_again_only_what_was_not_written) {
  on_line(0);
  arrive(1);
  arrive(2);
  arrive(3);
  out.take();
  restored what;
  what.written = {{talk, 2}};
  what.messages = {{talk, 2}};
  box.reattach(0, what);
  const effects said = out.take();
  ASSERT_GE(said.size(), 2U);
  EXPECT_EQ(said[0], "deliver 1 3");
  EXPECT_EQ(said[1], "done 1");
}

TEST_F(account_delivery_test, a_batch_of_the_former_owner_is_awaited_and_then_the_drain_goes_on) {
  restored what;
  what.batches = {{talk, 50}};
  box.reattach(0, what);
  box.on_timer();
  box.on_backlog({{{talk, friend_id, 0}}, {}, false});
  EXPECT_EQ(out.take(), (effects{"later", "load"}));
  box.on_batch_ack(0, {talk, 50});
  EXPECT_EQ(out.take(), (effects{"advance 50", "read 50"}));
  box.on_page(talk, out.last_token, rows({}, 50, 50));
  EXPECT_EQ(out.take(), (effects{"clear 50", "end 1"}));
}

TEST_F(account_delivery_test, abandoning_gives_back_every_entry_that_is_not_done) {
  on_line(0);
  arrive(1);
  limits.in_flight = 1;
  arrive(2);
  arrive(3);
  EXPECT_EQ(box.abandon().size(), 3U);
  EXPECT_EQ(box.unacked(), 0U);
}

TEST_F(account_delivery_test, notices_reach_terminals_once_and_are_dropped_when_acknowledged) {
  on_line(0);
  box.on_notice(5, "x");
  box.on_notice(5, "x");
  EXPECT_EQ(out.take(), effects{"notice 1 5"});
  box.on_notice_ack(0, 5);
  EXPECT_EQ(out.take(), effects{"drop 5"});
  box.on_notice(5, "x");
  EXPECT_EQ(out.take(), effects{});
  box.on_notices_dropped({5}, true);
}

TEST_F(account_delivery_test, a_notice_that_was_acknowledged_does_not_come_again) {
  on_line(0);
  box.on_notice(5, "x");
  box.on_notice_ack(0, 5);
  box.on_notices_dropped({5}, true);
  out.take();
  box.on_notice(5, "x");  // its entry came again
  EXPECT_EQ(out.take(), effects{});
  box.on_drain_request(0);
  EXPECT_EQ(out.take(), effects{"load"});
  box.on_backlog({{}, {{5, "x"}, {6, "y"}}, false});  // read before it was deleted
  EXPECT_EQ(out.take(), effects{"notice 1 6 stored"});
  for (uint64_t id = 100; id < 164; ++id) {
    box.on_notice(id, "z");
    box.on_notice_ack(0, id);
  }
  out.take();
  box.on_notice(163, "z");
  EXPECT_EQ(out.take(), effects{});
  box.on_notice(5, "x");  // sixty-four others since
  EXPECT_EQ(out.take(), effects{"notice 1 5"});
}

TEST_F(account_delivery_test, what_one_terminal_had_and_another_had_not_comes_to_it_with_the_list) {
  arrive(9);  // before any terminal is there
  EXPECT_EQ(out.take(), effects{"mark 8"});
  box.reattach(0, {{{talk, 9}}, {}, {}, {{talk, 9}}});
  box.reattach(1, {{}, {}, {}, {{talk, 6}}});
  out.take();
  arrive(9);
  EXPECT_EQ(out.take(), effects{"load"});
  box.on_message_ack(0, {talk, 9});
  box.on_cursor(talk, cursor_change::mark, true);
  box.detach(0);
  out.take();
  box.on_timer();
  box.on_backlog({{{talk, friend_id, 8}}, {}, false});
  EXPECT_EQ(out.take(), (effects{"load", "done 9", "read 8"}));
  box.on_page(talk, out.last_token, rows({9, 10}, 10, 10));
  EXPECT_EQ(out.take(), effects{"batch 2 10 of 2"});
}

TEST_F(account_delivery_test, what_the_terminals_lost_is_in_the_list_although_it_was_sent_before) {
  arrive(9);
  box.reattach(0, {{{talk, 9}}, {}, {}, {{talk, 9}}});
  arrive(9);
  box.on_cursor(talk, cursor_change::mark, true);
  box.detach(0);
  out.take();
  box.attach(1);
  box.on_drain_request(1);
  box.on_backlog({{{talk, friend_id, 8}}, {}, false});
  EXPECT_EQ(out.take(), (effects{"load", "done 9", "read 8"}));
  box.on_page(talk, out.last_token, rows({9, 10}, 10, 10));
  EXPECT_EQ(out.take(), effects{"batch 2 10 of 2"});
}

// ---- recalls ----

TEST_F(account_delivery_test, a_recalled_message_is_not_written_to_terminals_that_have_not_got_it) {
  on_line(0);
  arrive(1);
  box.on_message({nullptr, 2}, recall(2, 1));
  EXPECT_EQ(out.take(), (effects{"deliver 1 1", "deliver 1 2"}));
  box.attach(1);
  EXPECT_EQ(out.take(), effects{"deliver 2 2"});
  box.detach(0);  // it had the message; the other one never will
  EXPECT_EQ(out.take(), effects{"done 1"});
  box.on_message_ack(1, {talk, 2});
  EXPECT_EQ(out.take(), effects{"done 2"});
}

TEST_F(account_delivery_test, a_recall_takes_its_target_out_of_what_is_held_back) {
  box.attach(0);
  arrive(5);
  arrive(6);
  box.on_message({nullptr, 7}, recall(7, 5));
  EXPECT_EQ(out.take(), (effects{"load", "done 5"}));
  box.on_backlog({});
  EXPECT_EQ(out.take(), (effects{"deliver 1 6", "deliver 1 7"}));
}

TEST_F(account_delivery_test, a_late_entry_is_not_written_after_its_recall) {
  on_line(0);
  arrive(1);
  box.on_message({nullptr, 3}, recall(3, 2));
  out.take();
  arrive(2);
  EXPECT_EQ(out.take(), effects{"done 2"});
}

TEST_F(account_delivery_test, a_tombstone_is_done_and_not_sent) {
  on_line(0);
  auto gone = std::make_shared<message>(message{talk, friend_id, 1, 1, "", 0, 0});
  box.on_message({nullptr, 1}, gone);
  EXPECT_EQ(out.take(), effects{"done 1"});
}

TEST_F(account_delivery_test, a_drain_leaves_out_recalls_of_what_nobody_saw) {
  box.attach(0);
  box.on_drain_request(0);
  box.on_backlog({{{talk, friend_id, 4}}, {}, false});
  out.take();
  page found{{}, 8, 8};  // 5 is a tombstone already, 3 was delivered before
  found.rows = {*text(6), *recall(7, 5), *recall(8, 3)};
  box.on_page(talk, out.last_token, std::move(found));
  EXPECT_EQ(out.take(), effects{"batch 1 8 of 2"});
  box.on_batch_ack(0, {talk, 8});
  box.on_cursor(talk, cursor_change::clear, true);
  EXPECT_EQ(out.take(), (effects{"clear 8", "end 1"}));
}

TEST_F(account_delivery_test, a_recall_that_came_while_its_target_was_being_drained_is_sent) {
  box.attach(0);
  box.on_drain_request(0);
  box.on_backlog({{{talk, friend_id, 4}}, {}, false});
  box.on_page(talk, out.last_token, rows({5, 6}, 6, 6));
  arrive(7);  // keeps the drain going
  out.take();
  box.on_batch_ack(0, {talk, 6});
  page found{{}, 8, 8};
  found.rows = {*text(7), *recall(8, 5)};
  box.on_page(talk, out.last_token, std::move(found));
  EXPECT_EQ(out.take(), (effects{"advance 6", "read 6", "batch 1 8 of 2"}));
}

// ---- rooms ----

constexpr conversation_id room{42, 0};

TEST_F(account_delivery_test, a_room_that_is_behind_waits_for_a_request_and_ends_live) {
  box.attach(0);
  box.on_room_behind(room, 3, false);
  EXPECT_EQ(out.take(), effects{});
  box.on_drain_request(0);
  box.on_backlog({});
  EXPECT_EQ(out.take(), (effects{"load", "read 3"}));
  box.on_page(room, out.last_token, rows({4, 5}, 5, 5));
  EXPECT_EQ(out.take(), effects{"batch 1 5 of 2"});
  box.on_batch_ack(0, {room, 5});
  EXPECT_EQ(out.take(), (effects{"advance 5", "live 5", "end 1"}));
  EXPECT_EQ(box.dirty(), 0U);
}

TEST_F(account_delivery_test, a_drain_of_a_room_goes_on_to_what_came_meanwhile) {
  box.attach(0);
  box.on_room_behind(room, 3, false);
  box.on_drain_request(0);
  box.on_backlog({});
  box.on_page(room, out.last_token, rows({4}, 4, 4));
  out.take();
  out.newer = 900;
  box.on_batch_ack(0, {room, 4});
  EXPECT_EQ(out.take(), (effects{"advance 4", "live 4", "read 4"}));
  box.on_page(room, out.last_token, rows({900}, 900, 900));
  box.on_batch_ack(0, {room, 900});
  EXPECT_EQ(out.take(), (effects{"batch 1 900 of 1", "advance 900", "live 900", "end 1"}));
}

TEST_F(account_delivery_test, a_new_message_wakes_a_room_that_is_behind) {
  box.attach(0);
  box.on_room_behind(room, 3, false);
  box.on_room_wake(room);
  EXPECT_EQ(out.take(), effects{"load"});
  box.on_backlog({});
  EXPECT_EQ(out.take(), effects{"read 3"});
}

TEST_F(account_delivery_test, a_drain_does_not_end_before_all_rooms_have_answered) {
  box.attach(0);
  box.on_rooms_open(1);
  box.on_drain_request(0);
  box.on_backlog({});
  EXPECT_EQ(out.take(), effects{"load"});
  box.on_room_behind(room, 0, false);
  box.on_rooms_open(0);
  EXPECT_EQ(out.take(), effects{"read 0"});
  box.on_page(room, out.last_token, rows({}, 2, 2));
  EXPECT_EQ(out.take(), (effects{"advance 2", "live 2", "end 1"}));
}

TEST_F(account_delivery_test, a_room_left_in_the_middle_of_its_drain_is_forgotten) {
  box.attach(0);
  box.on_room_behind(room, 3, true);
  box.on_backlog({});
  box.on_page(room, out.last_token, rows({4, 5}, 9, 5));
  EXPECT_EQ(box.on_room_gone(room), 3U);
  out.take();
  box.on_batch_ack(0, {room, 5});
  EXPECT_EQ(out.take(), effects{});
  EXPECT_EQ(box.dirty(), 0U);
  box.detach(0);
  EXPECT_TRUE(box.idle());
}

TEST_F(account_delivery_test, a_list_of_a_room_under_way_from_a_former_owner_is_awaited) {
  box.reattach(0, {{}, {{room, 7}}, {}, {}});
  box.on_room_behind(room, 3, true);
  box.on_backlog({});
  EXPECT_EQ(out.take(), (effects{"later", "load"}));
  box.on_batch_ack(0, {room, 7});
  EXPECT_EQ(out.take(), (effects{"advance 7", "read 7"}));
}

}  // namespace
}  // namespace tern::delivery

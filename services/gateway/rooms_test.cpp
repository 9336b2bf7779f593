// Room messages and acknowledgements of rooms in a terminal, in a lane's list, and made ready for many terminals.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "libs/wire/message.hpp"
#include "services/gateway/room_acks.hpp"
#include "services/gateway/room_frame.hpp"
#include "services/gateway/terminal.hpp"

namespace tern::gateway {
namespace {

constexpr uint64_t room = 7;

/// Keeps what was written.
class written final : public frame_writer {
 public:
  void write(const outbound_frame& frame, int32_t sync_id) override {
    payloads.emplace_back(frame.bytes());
    sync_ids.push_back(sync_id);
  }
  std::vector<std::string> payloads;
  std::vector<int32_t> sync_ids;
};

class terminal_rooms : public testing::Test {
 protected:
  bool offer(uint64_t mid, ref_kind kind = ref_kind::room, uint64_t of = room) {
    outbound_frame frame;
    frame.wants_ack = true;
    frame.shared = std::make_shared<const std::string>("m" + std::to_string(mid));
    frame.ref = {kind, {of, 0}, mid};
    return it.offer(std::move(frame), 0, limits, out);
  }
  /// Acknowledges as the gateway does: true when there is something new to tell.
  bool acknowledge(int32_t sync_id) {
    const auto done = it.acknowledge(sync_id, 0, limits, out);
    EXPECT_TRUE(done);
    return done && it.note_room_ack(done->ref);
  }

  terminal_limits limits{
      .window = 4, .waiting_frames = 8, .waiting_bytes = 1000, .unconfirmed = 3, .conversations = 3};
  terminal it;
  written out;
};

TEST_F(terminal_rooms, write_each_message_once) {
  EXPECT_TRUE(offer(5));
  EXPECT_TRUE(offer(5));
  EXPECT_TRUE(offer(4));
  EXPECT_TRUE(offer(6));
  EXPECT_EQ(out.payloads, (std::vector<std::string>{"m5", "m6"}));
}

TEST_F(terminal_rooms, drop_a_message_that_waits_already) {
  for (uint64_t mid = 1; mid <= 6; ++mid) offer(mid);
  EXPECT_EQ(it.waiting(), 2U);
  offer(6);
  EXPECT_EQ(it.waiting(), 2U);
  EXPECT_EQ(it.waiting_bytes(), 4U);
}

TEST_F(terminal_rooms, do_not_take_lists_for_written_messages) {
  offer(9, ref_kind::batch);
  EXPECT_TRUE(offer(5));
  EXPECT_EQ(out.payloads.back(), "m5");
}

TEST_F(terminal_rooms, are_told_once_until_the_next_acknowledgement) {
  offer(5);
  offer(6);
  EXPECT_TRUE(acknowledge(1));
  EXPECT_FALSE(acknowledge(2));  // noted already
  EXPECT_EQ(it.take_room_ack(room), 6U);
  EXPECT_FALSE(it.take_room_ack(room));
  offer(7);
  EXPECT_TRUE(acknowledge(3));
  EXPECT_EQ(it.take_room_ack(room), 7U);
}

TEST_F(terminal_rooms, are_told_up_to_the_first_message_that_is_missing) {
  for (const uint64_t mid : {5, 6, 9}) offer(mid);
  EXPECT_FALSE(acknowledge(2));  // 6 says nothing while 5 is open
  EXPECT_TRUE(acknowledge(1));
  EXPECT_EQ(it.take_room_ack(room), 8U);
}

TEST_F(terminal_rooms, are_told_up_to_the_first_message_that_waits) {
  for (uint64_t mid = 1; mid <= 8; ++mid) offer(mid);  // 5 to 8 wait
  for (int32_t sync_id = 1; sync_id <= 4; ++sync_id) acknowledge(sync_id);
  EXPECT_EQ(it.take_room_ack(room), 4U);
}

TEST_F(terminal_rooms, are_not_told_while_a_list_of_the_room_is_open) {
  offer(1, ref_kind::batch);
  offer(5);
  EXPECT_FALSE(acknowledge(2));
  EXPECT_FALSE(it.take_room_ack(room));
  EXPECT_TRUE(it.take_room_acks().empty());
  EXPECT_TRUE(acknowledge(1));
  EXPECT_EQ(it.take_room_ack(room), 5U);
}

TEST_F(terminal_rooms, keep_what_a_list_has_put_off) {
  offer(5);
  EXPECT_TRUE(acknowledge(1));
  offer(1, ref_kind::batch);
  EXPECT_FALSE(it.take_room_ack(room));
  EXPECT_TRUE(acknowledge(2));
  EXPECT_EQ(it.take_room_ack(room), 5U);
}

TEST_F(terminal_rooms, are_all_told_when_the_terminal_leaves) {
  offer(5);
  offer(8, ref_kind::room, 70);
  offer(2, ref_kind::message, 99);
  acknowledge(1);
  acknowledge(2);
  acknowledge(3);
  std::map<uint64_t, uint64_t> told;
  for (const auto& each : it.take_room_acks()) told[each.room] = each.mid;
  EXPECT_EQ(told, (std::map<uint64_t, uint64_t>{{room, 5}, {70, 8}}));
  EXPECT_TRUE(it.take_room_acks().empty());
  EXPECT_FALSE(it.take_room_ack(room));
}

TEST_F(terminal_rooms, are_named_to_a_new_owner_as_rooms) {
  offer(5);
  offer(6);
  acknowledge(1);
  const auto state = it.state();
  ASSERT_EQ(state.unacked.size(), 1U);
  EXPECT_EQ(state.unacked[0], (delivery_ref{ref_kind::room, {room, 0}, 6}));
  ASSERT_EQ(state.written.size(), 1U);
  EXPECT_EQ(state.written[0], (delivery_ref{ref_kind::room, {room, 0}, 6}));
}

TEST_F(terminal_rooms, with_untold_acknowledgements_are_forgotten_last) {
  offer(5);
  acknowledge(1);
  for (const uint64_t other : {101, 102, 103, 104}) {
    offer(1, ref_kind::message, other);
    it.acknowledge(static_cast<int32_t>(out.sync_ids.size()), 0, limits, out);
  }
  EXPECT_EQ(it.take_room_ack(room), 5U);
}

/// Random orders of messages, lists and acknowledgements: what is told grows, never reaches an open message, and in
/// the end is everything.
TEST(terminal_rooms_property, tell_what_is_acknowledged_and_nothing_else) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const terminal_limits limits{.window = 1 + random() % 6, .waiting_frames = 500, .waiting_bytes = 10000};
    terminal it;
    written out;
    std::map<uint64_t, bool> messages;  // mid -> acknowledged
    size_t open_lists = 0;
    std::vector<delivery_ref> order;  // by sync id - 1, as offered
    std::vector<int32_t> open;
    uint64_t mid = 0, told = 0;
    bool noted = false;
    const auto look = [&](std::optional<uint64_t> now) {
      noted = false;
      if (!now) return;
      ASSERT_EQ(open_lists, 0U);
      ASSERT_GE(*now, told);
      told = *now;
      for (const auto& [each, acked] : messages) ASSERT_TRUE(each > told || acked) << each;
    };
    const auto ack = [&](size_t at) {
      const int32_t sync_id = open[at];
      open.erase(open.begin() + static_cast<long>(at));
      const delivery_ref ref = order[static_cast<size_t>(sync_id) - 1];
      ASSERT_TRUE(it.acknowledge(sync_id, 0, limits, out));
      ref.kind == ref_kind::batch ? void(--open_lists) : void(messages[ref.mid] = true);
      const bool news = it.note_room_ack(ref);
      ASSERT_FALSE(news && noted);
      noted = noted || news;
    };
    for (int step = 0; step < 200; ++step) {
      const size_t before = out.sync_ids.size();
      switch (random() % 4) {
        case 0: {
          outbound_frame frame;
          frame.wants_ack = true;
          const bool list = random() % 5 == 0;
          mid += 1 + random() % 3;
          frame.ref = {list ? ref_kind::batch : ref_kind::room, {room, 0}, mid};
          list ? void(++open_lists) : void(messages[mid] = false);
          order.push_back(frame.ref);
          ASSERT_TRUE(it.offer(std::move(frame), 0, limits, out));
          break;
        }
        case 1:
        case 2:
          if (!open.empty()) ack(random() % open.size());
          break;
        default:
          if (noted) look(it.take_room_ack(room));
      }
      for (size_t i = before; i < out.sync_ids.size(); ++i) open.push_back(out.sync_ids[i]);
      if (HasFatalFailure()) return;
    }
    while (!open.empty()) {
      const size_t before = out.sync_ids.size();
      ack(random() % open.size());
      for (size_t i = before; i < out.sync_ids.size(); ++i) open.push_back(out.sync_ids[i]);
    }
    for (const auto& each : it.take_room_acks()) look(each.mid);
    if (!messages.empty()) {
      ASSERT_GE(told, messages.rbegin()->first);
      ASSERT_LE(told, mid);
    }
  }
}

TEST(room_acks, are_due_a_period_after_the_first_of_a_room) {
  room_acks list(10);
  list.note(1, 11, 100);
  list.note(2, 12, 105);
  list.note(1, 13, 109);
  std::map<uint64_t, std::vector<uint64_t>> taken;
  const auto take = [&](uint64_t of, const std::vector<uint64_t>& conns) { taken[of] = conns; };
  list.take_due(109, take);
  EXPECT_TRUE(taken.empty());
  list.take_due(110, take);
  EXPECT_EQ(taken, (std::map<uint64_t, std::vector<uint64_t>>{{1, {11, 13}}}));
  list.note(1, 11, 110);
  list.take_due(119, take);
  EXPECT_EQ(taken.size(), 2U);
  EXPECT_EQ(list.size(), 1U);
}

room_frame::message_ptr message_of(uint64_t mid, std::string_view text) {
  wire::tim_message value;
  value.ms_type = 3;
  value.od_type = 1;
  value.mid = static_cast<int64_t>(mid);
  value.data_string = text;
  auto out = std::make_shared<session::v1::RoomOut>();
  out->set_room(room);
  out->set_mid(mid);
  out->set_payload(wire::encode(wire::encoding::thrift, value));
  return out;
}

TEST(room_frame, differs_between_terminals_in_the_sync_id_only) {
  const auto message = message_of(5, "hello");
  room_frame frame(message, 0, false);
  const std::string first(frame.message(wire::encoding::thrift, 1));
  const std::string second(frame.message(wire::encoding::thrift, 0x01020304));
  EXPECT_EQ(first, "\x82" + std::string(1, static_cast<char>(5 + message->payload().size())) +
                       std::string("\xda\x00\x00\x00\x01", 5) + message->payload());
  EXPECT_EQ(second.substr(2, 5), "\xda\x01\x02\x03\x04");
  EXPECT_EQ(second.substr(7), message->payload());
}

TEST(room_frame, has_the_right_place_for_the_sync_id_in_long_messages) {
  for (const size_t bytes : {100U, 126U, 70000U}) {
    const auto message = message_of(5, std::string(bytes, 'x'));
    room_frame frame(message, 0, false);
    const std::string_view bytes_out = frame.message(wire::encoding::thrift, 0x01020304);
    const std::string_view tail = bytes_out.substr(bytes_out.size() - message->payload().size() - 5);
    EXPECT_EQ(tail.substr(0, 5), "\xda\x01\x02\x03\x04") << bytes;
    EXPECT_EQ(tail.substr(5), message->payload()) << bytes;
  }
}

TEST(room_frame, is_brought_to_json_for_those_who_speak_it) {
  room_frame frame(message_of(5, "hello"), 0, false);
  ASSERT_TRUE(frame.usable(wire::encoding::json));
  const auto waiting = frame.waiting(wire::encoding::json);
  EXPECT_EQ(waiting.bytes(), R"({"msType":3,"odType":1,"mid":5,"dataString":"hello"})");
  EXPECT_EQ(frame.message(wire::encoding::json, 9).substr(7), waiting.bytes());
  EXPECT_EQ(frame.waiting(wire::encoding::json).shared, waiting.shared);
}

TEST(room_frame, is_not_usable_in_json_when_it_is_no_message) {
  auto bad = std::make_shared<session::v1::RoomOut>();
  bad->set_payload("rubbish");
  room_frame frame(bad, 0, false);
  EXPECT_FALSE(frame.usable(wire::encoding::json));
}

}  // namespace
}  // namespace tern::gateway

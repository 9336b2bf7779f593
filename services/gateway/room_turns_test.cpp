// A room's message on its way to many terminals: what may come between, and what may not.
#include "services/gateway/room_turns.hpp"

#include <algorithm>

#include "libs/wire/message.hpp"
#include "services/gateway/testing/live_fixture.hpp"

namespace tern::gateway {
namespace {

constexpr link_handle first_stream{0, 1};

/// What the lane sends to the session node.
class noted final : public rpc::sink<gateway_item> {
 public:
  bool send(gateway_item item) override {
    items.push_back(std::move(item));
    return true;
  }
  bool send_all(std::vector<gateway_item>& more) override {
    for (gateway_item& each : more) items.push_back(std::move(each));
    more.clear();
    return true;
  }
  void close() override {}
  /// The Binds since the last call, by connection.
  std::map<uint64_t, session::v1::Bind> binds() {
    std::map<uint64_t, session::v1::Bind> out;
    for (const gateway_item& each : std::exchange(items, {})) {
      if (each.has_bind()) out[each.bind().conn()] = each.bind();
    }
    return out;
  }
  std::vector<gateway_item> items;
};

class room_in_turns : public testing::live_fixture {
 protected:
  static constexpr size_t many = 300;

  void SetUp() override {
    config.window_frames = 1000;
    start();
    give(1);
    lane_of().on_link_up(first_stream, "s", session);
    for (size_t i = 0; i < many; ++i) {
      all.push_back(&connect(0, {}, true, (i * 349 % slot_count) << 44U | (i + 1)));
      ids.push_back(all.back()->id());
    }
    session->items.clear();
  }
  lane& lane_of() { return *lanes.front(); }
  void give(uint64_t epoch) {
    auto next = std::make_shared<placement::snapshot>();
    next->version = ++version;
    next->sessions = placement::range_map({{0, slot_count - 1, "s", epoch}});
    lane_of().on_map(next);
  }

  /// A batch of the session node; it is on its way from its first message on.
  class batch {
   public:
    batch& message(uint64_t room, uint64_t mid, std::vector<uint64_t> to) {
      wire::tim_message value;
      value.ms_type = 3;
      value.od_type = 1;
      value.mid = static_cast<int64_t>(mid);
      auto made = std::make_shared<session::v1::RoomOut>();
      made->set_room(room);
      made->set_mid(mid);
      made->set_payload(wire::encode(wire::encoding::thrift, value));
      parts.rooms.push_back({std::move(made), parts.items.size(), std::move(to)});
      parts.coming->fetch_add(1);
      return *this;
    }
    batch& ack(uint64_t conn) {
      session::v1::Out& out = *parts.items.emplace_back().mutable_out();
      out.set_conn(conn);
      out.set_type(static_cast<uint32_t>(wire::frame_type::ack));
      wire::tim_ack made;
      made.ok = true;
      out.set_payload(wire::encode(wire::encoding::thrift, made));
      return *this;
    }
    batch& bound(uint64_t conn, uint64_t epoch) {
      session::v1::BindResult& result = *parts.items.emplace_back().mutable_bind_result();
      result.set_conn(conn);
      result.set_epoch(epoch);
      return *this;
    }
    lane_batch parts{.items = {}, .rooms = {}, .coming = std::make_shared<std::atomic<size_t>>(0)};
  };
  void take(batch& what) { lane_of().on_items(first_stream, what.parts); }
  void take(batch&& what) { take(what); }

  /// What the client has got since the last call: mids of messages, 0 for anything else.
  std::vector<uint64_t> got(size_t index) {
    std::vector<uint64_t> out;
    for (const std::string& each : all[index]->messages()) {
      const size_t at = each.find("\"mid\":");
      out.push_back(at == std::string::npos ? 0 : std::stoull(each.substr(at + 6)));
    }
    return out;
  }
  size_t how_many_got(const std::vector<uint64_t>& mids) {
    size_t count = 0;
    for (size_t i = 0; i < many; ++i) count += got(i) == mids ? 1 : 0;
    return count;
  }

  std::shared_ptr<noted> session = std::make_shared<noted>();
  std::vector<testing::fake_connection*> all;
  std::vector<uint64_t> ids;
  uint64_t version = 0;
};

TEST_F(room_in_turns, goes_to_the_first_of_the_list_at_once_and_lets_others_come_between) {
  std::vector<uint64_t> to = ids;
  std::swap(to[0], to[299]);
  take(batch().message(7, 5, to));
  EXPECT_EQ(got(299), std::vector<uint64_t>{5});
  EXPECT_EQ(got(128), std::vector<uint64_t>{});
  std::vector<size_t> at_this_time;
  for (int i = 0; i < 3; ++i) {
    threads.front()->post([&] { at_this_time.push_back(how_many_got({5})); });
    threads.front()->turn();
  }
  EXPECT_EQ(at_this_time, (std::vector<size_t>{128 - 1 + 128, 300 - 256, 0}));
  EXPECT_EQ(metric("tern_gateway_room_frames_total"), 300);
}

TEST_F(room_in_turns, is_not_overtaken_by_the_next_message_of_the_room) {
  take(batch().message(7, 5, ids));
  std::vector<uint64_t> to(ids.rbegin(), ids.rend());
  take(batch().message(7, 6, to));
  run();
  EXPECT_EQ(how_many_got({5, 6}), many);
}

TEST_F(room_in_turns, is_overtaken_by_a_message_of_another_room) {
  take(batch().message(7, 5, ids));
  take(batch().message(8, 1, {ids[299], ids[298]}));
  EXPECT_EQ(got(299), std::vector<uint64_t>{1});
  run();
  EXPECT_EQ(got(299), std::vector<uint64_t>{5});
}

TEST_F(room_in_turns, comes_before_what_was_sent_to_a_terminal_behind_it) {
  take(batch().message(7, 5, ids).ack(ids[200]).ack(ids[0]));
  threads.front()->connections.at(ids[200])->settle();
  EXPECT_EQ(got(200), (std::vector<uint64_t>{5, 0}));
  take(batch().ack(ids[200]));
  run();
  EXPECT_EQ(got(200), std::vector<uint64_t>{0});
  EXPECT_EQ(got(0), (std::vector<uint64_t>{5, 0}));
  EXPECT_EQ(how_many_got({5}), many - 2);
}

TEST_F(room_in_turns, leaves_in_one_write_with_others_that_wait_for_the_same_terminals) {
  take(batch().message(7, 5, ids).message(7, 6, ids).message(7, 7, ids));
  EXPECT_EQ(how_many_got({}), many);
  threads.front()->turn();  // the end of the wake-up
  EXPECT_EQ(how_many_got({5, 6, 7}), many);
}

TEST_F(room_in_turns, goes_on_with_more_of_its_room_that_is_known_to_come) {
  batch first, second;
  first.message(7, 5, ids).message(7, 6, ids);
  second.message(7, 7, ids);
  second.parts.coming = first.parts.coming;
  first.parts.coming->store(3);
  take(first);
  take(second);
  threads.front()->turn();
  EXPECT_EQ(how_many_got({5, 6, 7}), many);
  take(batch().message(7, 8, ids));  // alone again: in turns
  threads.front()->connections.at(ids[299])->settle();
  EXPECT_EQ(got(299), std::vector<uint64_t>{});
  run();
  EXPECT_EQ(how_many_got({8}), many);
}

TEST_F(room_in_turns, passes_over_a_client_that_closes_before_its_turn) {
  take(batch().message(7, 5, ids));
  all[200]->end();
  run();
  EXPECT_EQ(how_many_got({5}), many - 1);
  EXPECT_EQ(metric("tern_gateway_frames_rejected_total{reason=\"unknown_connection\"}"), 1);
  EXPECT_EQ(metric("tern_gateway_room_frames_total"), many - 1);
}

/// The owner sends everything from what the Bind tells of on: a message that was sent before, but went out behind the
/// answer, would hide those between.
TEST_F(room_in_turns, is_not_taken_behind_the_answer_to_a_bind_that_did_not_know_of_it) {
  take(batch().message(7, 3, ids));
  run();
  EXPECT_EQ(how_many_got({3}), many);
  std::vector<uint64_t> to(ids.rbegin(), ids.rend());  // who binds first is served last
  take(batch().message(7, 5, to));
  session->items.clear();
  give(2);
  const auto binds = session->binds();
  const size_t one = static_cast<size_t>(
      std::find_if(ids.begin(), ids.begin() + 170, [&](uint64_t id) { return binds.contains(id); }) - ids.begin());
  ASSERT_LT(one, 170U);
  EXPECT_EQ(binds.at(ids[one]).written(0).mid(), 3U);
  take(batch().bound(ids[one], 2).message(7, 4, {ids[one]}).message(7, 5, {ids[one]}));
  run();
  EXPECT_EQ(got(one), (std::vector<uint64_t>{4, 5}));
}

TEST_F(room_in_turns, ends_with_its_stream_and_every_bind_says_who_has_had_it) {
  take(batch().message(7, 5, ids));
  lane_of().on_link_down(first_stream);
  lane_of().on_link_up({0, 2}, "s", session);
  run();
  std::map<uint64_t, size_t> written;
  for (const auto& [conn, bind] : session->binds()) ++written[bind.written_size() == 0 ? 0 : bind.written(0).mid()];
  EXPECT_EQ(written, (std::map<uint64_t, size_t>{{0, many - 128}, {5, 128}}));
  EXPECT_EQ(how_many_got({5}), 128U);
  EXPECT_EQ(metric("tern_gateway_frames_rejected_total{reason=\"generation\"}"), many - 128);
}

TEST_F(room_in_turns, ends_for_those_whose_owner_changes) {
  take(batch().message(7, 5, ids));
  give(2);
  run();
  EXPECT_EQ(how_many_got({5}), 128U);
}

TEST_F(room_in_turns, is_not_left_waiting_while_many_others_come) {
  constexpr size_t count = room_turns::most_messages + 10;
  batch many_rooms;
  std::vector<uint64_t> mids;
  for (uint64_t each = 1; each <= count; ++each) {
    many_rooms.message(each, each, ids);
    mids.push_back(each);
  }
  take(many_rooms);
  threads.front()->connections.at(ids[299])->settle();
  // Of the first ones, so many that no more wait than may.
  const std::vector<uint64_t> early = got(299);
  ASSERT_GE(early.size(), 10U);
  EXPECT_LT(early.size(), count);
  EXPECT_TRUE(std::equal(early.begin(), early.end(), mids.begin()));
  run();
  std::vector<uint64_t> late = got(299);
  std::sort(late.begin(), late.end());
  EXPECT_EQ(late, std::vector<uint64_t>(mids.begin() + static_cast<ptrdiff_t>(early.size()), mids.end()));
  EXPECT_EQ(metric("tern_gateway_room_frames_total"), static_cast<double>(many * count));
}

}  // namespace
}  // namespace tern::gateway

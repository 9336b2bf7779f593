#include "services/session/rooms/hub.hpp"

#include <malloc.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "libs/wire/message.hpp"
#include "services/session/testing/room_fixture.hpp"

namespace tern::session {
namespace {

/// Questions to the owner, answered when the test says so.
class silent_groups final : public group_port {
 public:
  void ask(group::v1::GroupRequest request, group_callback then) override {
    asked.emplace_back(std::move(request), std::move(then));
  }
  void answer(errc code, uint64_t head, uint64_t source = 1, uint64_t epoch = 1) {
    group_answer got;
    got.code = code;
    got.source = source;
    got.epoch = epoch;
    got.answer.set_head(head);
    const auto then = std::move(asked.front().second);
    asked.erase(asked.begin());
    then(got);
  }
  std::vector<std::pair<group::v1::GroupRequest, group_callback>> asked;
};

class hub_test : public room_fixture {
 protected:
  hub_test() {
    env.groups = &owner;
    wire::tim_message text;
    text.ms_type = 3;
    text.od_type = 1;
    text.data_string = "hello";
    wire::encode_stored(text, body);
  }
  void frame_of(uint64_t mid, uint64_t source = 1) {
    group::v1::RoomFrame frame;
    frame.set_room(open.value);
    frame.set_mid(mid);
    frame.set_sender(manager.value);
    frame.set_body(body);
    rooms.on_frame(source, frame);
  }
  /// News of the member's going.
  void gone(uint64_t version, uint64_t source = 1) {
    group::v1::RoomGone news;
    news.set_room(open.value);
    news.add_accounts(member.value);
    news.set_version(version);
    rooms.on_gone(source, news);
  }
  void store() {
    storage::v1::StorageRequest request;
    request.mutable_room_append()->set_room(open.value);
    request.mutable_room_append()->set_sender(manager.value);
    request.mutable_room_append()->set_key(std::to_string(++keys));
    request.mutable_room_append()->set_body(body);
    storage::v1::StorageReply reply;
    EXPECT_EQ(storage.execute(request, reply), errc::ok);
  }
  room_place join(account_id who, uint64_t conn, uint64_t delivered, uint64_t version = 1) {
    return rooms.join({open, who, version, delivered, false, {{stream, conn, {}}}});
  }
  std::vector<uint64_t> live(uint64_t conn) {
    std::vector<uint64_t> found;
    for (const auto& item : sink->items) {
      for (const uint64_t one : item.room_out().conns()) {
        if (one == conn) found.push_back(item.room_out().mid());
      }
    }
    return found;
  }
  void sweep_all() {
    for (int i = 0; i < 8; ++i) rooms.sweep();
  }
  using mids = std::vector<uint64_t>;

  silent_groups owner;
  std::string body;
  std::shared_ptr<collecting_sink<v1::SessionItem>> sink = std::make_shared<collecting_sink<v1::SessionItem>>();
  gateway_ptr stream = [this] {
    auto made = std::make_shared<gateway_stream>();
    made->out = sink;
    return made;
  }();
  int keys = 0;
};

TEST_F(hub_test, a_room_is_subscribed_once_and_given_up_when_nobody_was_in_it_for_a_while) {
  EXPECT_EQ(join(member, 1, 0), room_place::waiting);
  EXPECT_EQ(join(manager, 2, 0), room_place::waiting);
  ASSERT_EQ(owner.asked.size(), 1U);
  EXPECT_TRUE(owner.asked[0].first.interest().on());
  owner.answer(errc::ok, 0);
  EXPECT_EQ(rooms.standing_of(open, member).place, room_place::live);
  rooms.leave(open, member);
  rooms.leave(open, manager);
  sweep_all();
  EXPECT_TRUE(owner.asked.empty());
  time.advance(std::chrono::seconds(6));
  sweep_all();
  ASSERT_EQ(owner.asked.size(), 1U);
  EXPECT_FALSE(owner.asked[0].first.interest().on());
  EXPECT_EQ(rooms.rooms(), 0U);
}

TEST_F(hub_test, frames_of_others_than_the_subscribed_owner_are_ignored) {
  join(member, 1, 0);
  frame_of(1);
  owner.answer(errc::ok, 0, 7);
  frame_of(1, 6);
  EXPECT_TRUE(live(1).empty());
  frame_of(1, 7);
  EXPECT_EQ(live(1), mids{1});
}

TEST_F(hub_test, what_is_of_the_moment_comes_from_the_subscribed_owner_only_and_moves_no_position) {
  const auto now = [this](uint64_t source) {
    group::v1::RoomFrame frame;
    frame.set_room(open.value);
    frame.set_sender(manager.value);
    frame.set_body("now");
    frame.set_live(true);
    rooms.on_frame(source, frame);
  };
  join(member, 1, 0);
  join(manager, 2, 0);
  now(7);
  owner.answer(errc::ok, 0, 7);
  now(6);
  EXPECT_TRUE(sink->items.empty());
  now(7);
  ASSERT_EQ(sink->items.size(), 1U);
  const v1::RoomOut& out = sink->items[0].room_out();
  EXPECT_TRUE(out.live());
  EXPECT_EQ(out.payload(), "now");
  EXPECT_EQ(std::vector<uint64_t>(out.conns().begin(), out.conns().end()), mids{1});
  sink->items.clear();
  frame_of(1, 7);
  EXPECT_EQ(live(1), mids{1}) << "the next row is the next";
  EXPECT_EQ(rooms.unstored(), 0U);
}

TEST_F(hub_test, what_is_of_the_moment_is_dropped_where_a_gateway_takes_nothing_and_its_stream_stays) {
  class full_sink final : public rpc::sink<v1::SessionItem> {
   public:
    bool send(v1::SessionItem) override { return false; }
    bool send_all(std::vector<v1::SessionItem>&) override { return false; }
    void close() override { closed = true; }
    bool closed = false;
  };
  const auto full = std::make_shared<full_sink>();
  join(member, 1, 0);
  owner.answer(errc::ok, 0);
  stream->out = full;
  group::v1::RoomFrame frame;
  frame.set_room(open.value);
  frame.set_body("now");
  frame.set_live(true);
  rooms.on_frame(1, frame);
  EXPECT_FALSE(full->closed);
  frame_of(1);
  EXPECT_TRUE(full->closed) << "a stored message cannot be dropped";
  EXPECT_NE(registry.render().find("tern_session_live_dropped_total{reason=\"gateway\"} 1"), std::string::npos);
}

TEST_F(hub_test, a_gap_is_read_once_for_the_node) {
  join(member, 1, 0);
  join(manager, 2, 0);
  owner.answer(errc::ok, 0);
  for (int i = 0; i < 5; ++i) store();
  frame_of(3);
  frame_of(4);
  frame_of(5);
  EXPECT_EQ(storage.waiting(), 1U);
  storage.answer();
  EXPECT_EQ(live(1), (mids{1, 2, 3, 4, 5}));
  EXPECT_EQ(live(2), (mids{1, 2, 3, 4, 5}));
  EXPECT_EQ(storage.waiting(), 0U);
}

TEST_F(hub_test, a_new_stream_or_epoch_is_a_new_subscription_and_its_head_tells_what_was_missed) {
  join(member, 1, 0);
  owner.answer(errc::ok, 0);
  store();
  store();
  rooms.on_source_down(1);
  ASSERT_EQ(owner.asked.size(), 1U);
  frame_of(1);
  EXPECT_TRUE(live(1).empty()) << "not subscribed";
  owner.answer(errc::ok, 2, 2);
  storage.answer();
  EXPECT_EQ(live(1), (mids{1, 2}));
  placement::snapshot newer;
  newer.groups = placement::range_map{{{0, slot_count - 1, "group-1", 2}}};
  rooms.apply(newer);
  EXPECT_EQ(owner.asked.size(), 1U);
}

TEST_F(hub_test, an_answer_for_a_former_epoch_is_asked_again) {
  join(member, 1, 0);
  owner.answer(errc::ok, 0, 1, 99);
  EXPECT_EQ(rooms.standing_of(open, member).place, room_place::behind);
  time.advance(std::chrono::seconds(1));
  sweep_all();
  EXPECT_EQ(owner.asked.size(), 1U);
}

TEST_F(hub_test, who_was_put_out_comes_back_only_with_a_newer_place) {
  join(member, 1, 0, 3);
  owner.answer(errc::ok, 0);
  gone(4);
  frame_of(1);
  join(member, 1, 1, 3);  // its actor has not heard yet
  frame_of(2);
  EXPECT_TRUE(live(1).empty());
  join(member, 1, 2, 5);
  frame_of(3);
  EXPECT_EQ(live(1), mids{3});
}

TEST_F(hub_test, old_news_of_a_going_does_not_put_out_who_has_come_back) {
  join(member, 1, 0, 5);
  owner.answer(errc::ok, 0);
  gone(4);
  frame_of(1);
  EXPECT_EQ(live(1), mids{1});
  gone(6);
  gone(4);
  join(member, 1, 1, 5);
  frame_of(2);
  EXPECT_EQ(live(1), mids{1}) << "the newer going counts";
}

TEST_F(hub_test, who_was_put_out_at_a_former_owner_of_the_room_gets_nothing_more) {
  join(member, 1, 0, 3);
  owner.answer(errc::ok, 0);
  gone(4, 2);  // it was asked before the range went, and storage answered afterwards
  frame_of(1);
  EXPECT_TRUE(live(1).empty());
}

TEST_F(hub_test, positions_are_stored_every_few_seconds_once_per_account) {
  join(member, 1, 0);
  owner.answer(errc::ok, 0);
  v1::RoomAcked acked;
  acked.set_room(open.value);
  acked.add_accounts(member.value);
  acked.add_mids(1);
  time.advance(std::chrono::seconds(10));
  for (uint64_t mid = 1; mid <= 50; ++mid) {
    frame_of(mid);
    acked.set_mids(0, mid);
    rooms.on_acked(*stream, acked);
  }
  EXPECT_EQ(rooms.unstored(), 1U);
  sweep_all();
  storage.answer();
  EXPECT_EQ(storage.cursor_writes, 1U);
  EXPECT_EQ((storage.room_positions[{member.value, open.value}]), 50U);
  acked.set_mids(0, 51);
  gateway_stream elsewhere;
  rooms.on_acked(elsewhere, acked);
  EXPECT_EQ(rooms.unstored(), 0U);
}

TEST_F(hub_test, a_position_that_was_not_stored_is_tried_again) {
  join(member, 1, 0);
  owner.answer(errc::ok, 0);
  v1::RoomAcked acked;
  acked.set_room(open.value);
  acked.add_accounts(member.value);
  acked.add_mids(1);
  frame_of(1);
  rooms.on_acked(*stream, acked);
  storage.fail_next(storage::v1::StorageRequest::kCursorPut, errc::database);
  time.advance(std::chrono::seconds(6));
  sweep_all();
  storage.answer();
  EXPECT_EQ(rooms.unstored(), 1U);
  rooms.store_all();
  storage.answer();
  EXPECT_EQ((storage.room_positions[{member.value, open.value}]), 1U);
}

TEST_F(hub_test, the_positions_of_a_large_room_are_stored_once_in_five_seconds_and_not_in_one_burst) {
  constexpr uint64_t members = 1000;
  v1::RoomAcked acked;
  acked.set_room(open.value);
  for (uint64_t i = 1; i <= members; ++i) {
    join(account_id{i * 977}, i, 0);
    acked.add_accounts(i * 977);
    acked.add_mids(0);
  }
  owner.answer(errc::ok, 0);
  time.advance(std::chrono::seconds(10));
  sweep_all();
  size_t most = 0;
  for (uint64_t mid = 1; mid <= 20; ++mid) {  // a quarter of a second each
    frame_of(mid);
    for (uint64_t i = 0; i < members; ++i) acked.set_mids(static_cast<int>(i), mid);
    rooms.on_acked(*stream, acked);
    time.advance(std::chrono::milliseconds(250));
    const size_t before = storage.cursor_writes;
    sweep_all();
    storage.answer();
    most = std::max(most, storage.cursor_writes - before);
  }
  EXPECT_GE(storage.cursor_writes, members * 9 / 10);
  EXPECT_LE(storage.cursor_writes, members * 11 / 10);
  EXPECT_LE(most, members / 5);
}

TEST_F(hub_test, an_acknowledgement_that_comes_before_its_account_is_kept_for_a_while) {
  v1::RoomAcked acked;
  acked.set_room(open.value);
  acked.add_accounts(member.value);
  acked.add_mids(4);
  rooms.on_acked(*stream, acked);
  join(member, 1, 0);
  EXPECT_EQ(rooms.standing_of(open, member).position, 4U);
  EXPECT_EQ(rooms.unstored(), 1U);
  rooms.leave(open, member);
  storage.answer();
  EXPECT_EQ((storage.room_positions[{member.value, open.value}]), 4U);
  acked.set_accounts(0, manager.value);
  gateway_stream elsewhere;
  rooms.on_acked(elsewhere, acked);
  join(manager, 2, 0);
  EXPECT_EQ(rooms.standing_of(open, manager).position, 0U) << "none of its terminals is there";
  rooms.leave(open, manager);
  rooms.on_acked(*stream, acked);
  time.advance(std::chrono::seconds(11));
  sweep_all();
  join(manager, 2, 0);
  EXPECT_EQ(rooms.standing_of(open, manager).position, 0U);
}

TEST_F(hub_test, a_gateway_that_takes_nothing_has_its_stream_ended) {
  join(member, 1, 0);
  owner.answer(errc::ok, 0);
  sink->closed = true;
  frame_of(1);
  EXPECT_TRUE(sink->items.empty());
}

TEST_F(hub_test, a_frame_costs_little_per_terminal) {
  constexpr uint64_t terminals = 5000;
  for (uint64_t i = 1; i <= terminals; ++i) join(account_id{i}, i, 0);
  owner.answer(errc::ok, 0);
  const auto begin = std::chrono::steady_clock::now();
  constexpr uint64_t frames = 100;
  for (uint64_t mid = 1; mid <= frames; ++mid) frame_of(mid);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("ns_per_recipient", std::to_string(took.count() / (frames * terminals)));
  EXPECT_EQ(live(17).size(), frames);
}

TEST_F(hub_test, a_member_of_a_room_takes_at_most_a_quarter_of_a_kib) {
  join(account_id{1}, 1, 0);
  owner.answer(errc::ok, 0);
  const size_t before = mallinfo2().uordblks;
  constexpr uint64_t members = 5000;
  for (uint64_t i = 2; i < members + 2; ++i) join(account_id{i}, i, 0);
  const size_t each = (mallinfo2().uordblks - before) / members;
  RecordProperty("bytes", static_cast<int>(each));
  EXPECT_LE(each, 256U);
}

/// A log that grows while it is read.
class growing_log final : public storage_port {
 public:
  explicit growing_log(std::string body) : body_(std::move(body)) {}
  void ask(slot_type, storage::v1::StorageRequest request, patience, storage_callback then) override {
    storage_answer got;
    if (request.has_read()) {
      storage::v1::Page& page = *got.reply.mutable_page();
      const uint64_t head = newest;
      uint64_t mid = request.read().from_mid();
      while (mid < head && page.rows_size() < 7) {
        auto& row = *page.add_rows();
        row.set_mid(++mid);
        row.set_body(body_);
      }
      page.set_head(head);
      page.set_reached(mid);
    }
    got.request = std::move(request);
    then(got);
  }
  std::atomic<uint64_t> newest{0};

 private:
  const std::string body_;
};

class counting_sink final : public rpc::sink<v1::SessionItem> {
 public:
  bool send(v1::SessionItem item) override {
    const std::lock_guard held(mutex_);
    for (const uint64_t conn : item.room_out().conns()) seen[conn].push_back(item.room_out().mid());
    return true;
  }
  bool send_all(std::vector<v1::SessionItem>& items) override {
    for (auto& one : items) send(std::move(one));
    items.clear();
    return true;
  }
  void close() override {}
  std::map<uint64_t, std::vector<uint64_t>> seen;

 private:
  std::mutex mutex_;
};

TEST_F(hub_test, whoever_comes_and_goes_meanwhile_sees_every_message_once_and_in_order) {
  growing_log log(body);
  env.storage = &log;
  auto counting = std::make_shared<counting_sink>();
  stream->out = counting;
  join(account_id{1}, 1, 0);
  owner.answer(errc::ok, 0);
  constexpr uint64_t messages = 3000;
  std::thread frames([&] {
    for (uint64_t mid = 1; mid <= messages; ++mid) {
      log.newest = mid;
      if (mid % 5 != 0) frame_of(mid);  // the others are lost on the way
    }
  });
  constexpr uint64_t workers = 3;
  std::vector<std::map<uint64_t, uint64_t>> began(workers);
  std::vector<std::thread> members;
  for (uint64_t w = 0; w < workers; ++w) {
    members.emplace_back([&, w] {
      uint64_t conn = 1'000'000'000 * (w + 1);
      const account_id who{100 + w};
      v1::RoomAcked acked;
      acked.set_room(open.value);
      acked.add_accounts(who.value);
      acked.add_mids(0);
      while (log.newest < messages) {
        const uint64_t newest = log.newest;
        const uint64_t from = newest - std::min<uint64_t>(newest, conn % 9);
        began[w][++conn] = from;
        rooms.join({open, who, 1, from, false, {{stream, conn, from}}});
        acked.set_mids(0, from + 1);
        rooms.on_acked(*stream, acked);
        if (conn % 3 == 0) rooms.make_live(open, who, from);
        rooms.detach(open, who, *stream, conn);
      }
    });
  }
  frames.join();
  for (auto& one : members) one.join();
  frame_of(messages);
  began[0][1] = 0;
  for (const auto& mine : began) {
    for (const auto& [conn, from] : mine) {
      uint64_t expected = from;
      for (const uint64_t mid : counting->seen[conn]) EXPECT_EQ(mid, ++expected) << "connection " << conn;
    }
  }
  EXPECT_EQ(counting->seen[1].size(), messages);
}

}  // namespace
}  // namespace tern::session

// Many terminals that change their owner at once, on the lane alone.
#include "services/gateway/slot_changes.hpp"
#include "services/gateway/slot_index.hpp"
#include "services/gateway/testing/live_fixture.hpp"

namespace tern::gateway {
namespace {

using placement::range;
using placement::range_map;

constexpr slot_type last_slot = slot_count - 1;

TEST(slot_changes, is_empty_when_ranges_are_only_cut_or_joined) {
  const range_map one({{0, last_slot, "a", 3}});
  const range_map two({{0, 99, "a", 3}, {100, last_slot, "a", 3}});
  EXPECT_TRUE(slot_changes(one, two).empty());
  EXPECT_TRUE(slot_changes(two, one).empty());
  EXPECT_TRUE(slot_changes({}, {}).empty());
}

TEST(slot_changes, names_what_moved_and_nothing_beside_it) {
  const range_map before({{0, last_slot, "a", 3}});
  const range_map after({{0, 99, "a", 3}, {100, 163, "b", 4}, {164, 227, "a", 4}, {228, last_slot, "a", 3}});
  EXPECT_EQ(slot_changes(before, after), (std::vector<range>{{100, 163, "b", 4}, {164, 227, "a", 4}}));
}

TEST(slot_changes, knows_slots_that_get_their_first_owner_and_that_lose_their_last) {
  const range_map before({{10, 19, "a", 1}});
  const range_map after({{15, 29, "a", 1}});
  EXPECT_EQ(slot_changes(before, after), (std::vector<range>{{10, 14, "", 0}, {20, 29, "a", 1}}));
  EXPECT_EQ(slot_changes({}, range_map({{0, last_slot, "a", 1}})), (std::vector<range>{{0, last_slot, "a", 1}}));
}

TEST(slot_index, visits_members_of_the_slots_and_lets_them_leave_meanwhile) {
  std::array<slot_member, 5> who;
  slot_index all;
  for (size_t i = 0; i < who.size(); ++i) all.enter(static_cast<slot_type>(i * 64), who[i]);
  std::vector<const slot_member*> seen;
  const auto see = [&](slot_member& each) {
    seen.push_back(&each);
    each.leave_slot();
  };
  all.visit(64, 191, see);
  EXPECT_EQ(seen, (std::vector<const slot_member*>{&who[1], &who[2]}));
  seen.clear();
  all.visit(0, last_slot, see);
  EXPECT_EQ(seen, (std::vector<const slot_member*>{&who[0], &who[3], &who[4]}));
}

/// What a lane sends to one session node.
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
  size_t binds() const {
    return static_cast<size_t>(
        std::count_if(items.begin(), items.end(), [](const gateway_item& one) { return one.has_bind(); }));
  }
  std::vector<gateway_item> items;
};

class moves : public testing::live_fixture {
 protected:
  static constexpr size_t many = 3000;

  void SetUp() override {
    start();
    give("a", 1);
    lane_of().on_link_up({0, 1}, "a", a);
    lane_of().on_link_up({1, 1}, "b", b);
    for (size_t i = 0; i < many; ++i) {
      clients.push_back(&connect(0, {}, true, (i * 349 % slot_count) << 44U | (i + 1)));
    }
    a->items.clear();
  }
  lane& lane_of() { return *lanes.front(); }
  void give(const std::string& node, uint64_t epoch) {
    auto next = std::make_shared<placement::snapshot>();
    next->version = ++version;
    next->sessions = range_map({{0, last_slot, node, epoch}});
    lane_of().on_map(next);
  }
  /// Answers the Binds that have come since.
  void answer(errc code = errc::ok) {
    lane_batch batch;
    for (const gateway_item& each : std::exchange(b->items, {})) {
      if (!each.has_bind()) continue;
      session::v1::BindResult& result = *batch.items.emplace_back().mutable_bind_result();
      result.set_conn(each.bind().conn());
      result.set_code(static_cast<int32_t>(code));
      result.set_epoch(2);
      ++answered;
    }
    lane_of().on_items({1, 1}, batch);
  }

  std::shared_ptr<noted> a = std::make_shared<noted>(), b = std::make_shared<noted>();
  std::vector<testing::fake_connection*> clients;
  uint64_t version = 0;
  size_t answered = 0;
};

TEST_F(moves, take_turns_with_the_other_clients_of_the_thread) {
  using clock = std::chrono::steady_clock;
  const auto began = clock::now();
  give("b", 2);
  const auto left = clock::now();
  EXPECT_EQ(b->binds(), 128U);
  threads.front()->turn();
  const std::chrono::duration<double, std::milli> first = left - began, next = clock::now() - left;
  EXPECT_EQ(b->binds(), 256U);
  std::printf("%zu terminals leave their owner and 128 bind in %.2f ms, each further 128 in %.2f ms\n", many,
              first.count(), next.count());
  // None of them hears the old owner any more, whether its turn has come or not.
  lane_batch late;
  for (auto* each : clients) {
    session::v1::Out& out = *late.items.emplace_back().mutable_out();
    out.set_conn(each->id());
    out.set_type(static_cast<uint32_t>(wire::frame_type::ack));
  }
  lane_of().on_items({0, 1}, late);
  for (auto* each : clients) EXPECT_TRUE(each->messages().empty());
  EXPECT_EQ(metric("tern_gateway_frames_rejected_total{reason=\"epoch\"}"), static_cast<double>(many));
}

TEST_F(moves, have_a_bounded_number_of_binds_unanswered_at_one_node) {
  give("b", 2);
  run();
  EXPECT_EQ(b->binds(), 1024U);
  while (answered < many) {
    const size_t before = answered;
    answer();
    ASSERT_GT(answered, before);
    run();
    EXPECT_LE(b->binds(), 1024U);
  }
  EXPECT_EQ(answered, many);
  EXPECT_EQ(b->binds(), 0U);
}

TEST_F(moves, take_nothing_that_came_before_the_newest_binds_answer) {
  give("b", 2);
  run();
  const uint32_t first = b->items.at(0).bind().number();
  const uint64_t conn = b->items.at(0).bind().conn();
  EXPECT_NE(first, 0U);
  const auto say = [&](uint32_t number) {
    lane_batch batch;
    session::v1::BindResult& result = *batch.items.emplace_back().mutable_bind_result();
    result.set_conn(conn);
    result.set_epoch(2);
    result.set_number(number);
    session::v1::Out& out = *batch.items.emplace_back().mutable_out();
    out.set_conn(conn);
    out.set_type(static_cast<uint32_t>(wire::frame_type::ack));
    lane_of().on_items({1, 1}, batch);
    run();
  };
  auto* const at = *std::find_if(clients.begin(), clients.end(), [&](auto* each) { return each->id() == conn; });
  const auto& who = static_cast<client&>(at->handler());
  say(first + 1);  // as if another one had been sent since
  EXPECT_EQ(who.state(), phase::rebinding);
  EXPECT_EQ(metric("tern_gateway_frames_rejected_total{reason=\"epoch\"}"), 2.0);
  say(first);
  EXPECT_EQ(who.state(), phase::bound);
  EXPECT_EQ(metric("tern_gateway_frames_rejected_total{reason=\"epoch\"}"), 2.0);
}

TEST_F(moves, reach_everybody_although_clients_close_and_the_node_refuses_at_first) {
  give("b", 2);
  run();
  for (size_t i = 0; i < many; i += 3) clients[i]->end();
  answer(errc::wrong_owner);
  for (int i = 0; i < 40; ++i) {
    answer();
    pass(tick_length);
  }
  std::set<uint64_t> bound;
  for (auto* each : clients) {
    if (!each->closed && static_cast<client&>(each->handler()).state() == phase::bound) bound.insert(each->id());
  }
  EXPECT_EQ(bound.size(), many - many / 3);
}

TEST_F(moves, go_on_when_the_link_breaks_with_binds_unanswered) {
  give("b", 2);
  run();
  lane_of().on_link_down({1, 1});
  run();
  b->items.clear();
  lane_of().on_link_up({1, 2}, "b", b);
  run();
  EXPECT_EQ(b->binds(), 1024U);
}

TEST_F(moves, wait_where_nobody_owns_them_and_then_go_to_who_does) {
  auto next = std::make_shared<placement::snapshot>();
  next->version = ++version;
  lane_of().on_map(next);
  run();
  EXPECT_EQ(a->binds() + b->binds(), 0U);
  give("b", 3);
  run();
  EXPECT_EQ(b->binds(), 1024U);
}

}  // namespace
}  // namespace tern::gateway

// What a gateway tells the owner of a virtual room: whether it wants the frames.
#include "services/gateway/testing/live_fixture.hpp"

namespace tern::gateway {
namespace {

using group::v1::LiveRequest;
using namespace std::chrono_literals;

class live_interest : public testing::live_rooms {
 protected:
  void SetUp() override { start(); }
  /// The interests the owner was told, in order: on with frames, on without, off.
  std::string told(size_t group = 0) const {
    std::string out;
    for (const LiveRequest& each : groups[group]->got) {
      if (!each.has_interest()) continue;
      out += !each.interest().on() ? '-' : each.interest().no_frames() ? 'o' : '+';
    }
    return out;
  }
};

TEST_F(live_interest, is_without_frames_for_somebody_who_only_pushes) {
  const uint64_t room = make_room();
  auto& pusher = connect();
  stream(pusher, node(room), "aGk=");
  EXPECT_EQ(told(), "o");
  EXPECT_EQ(groups[0]->count(LiveRequest::kPush), 1U);
  pass(5s);
  EXPECT_EQ(told(), "o");
}

TEST_F(live_interest, is_with_frames_as_soon_as_somebody_watches_who_is_answered_behind_it) {
  const uint64_t room = make_room();
  auto& pusher = connect();
  stream(pusher, node(room), "aGk=");
  const auto behaves = std::exchange(groups[0]->script, nullptr);
  auto& who = connect(1);
  vroom(who, 5, node(room), R"(,"reqInt":1)");
  EXPECT_EQ(told(), "o+");
  EXPECT_TRUE(who.messages().empty());
  stream(pusher, node(room), "dHdv");  // behind the interest on the same stream
  EXPECT_TRUE(groups[0]->got.back().has_push());
  const LiveRequest push = groups[0]->got.back();
  behaves(groups[0]->got[groups[0]->got.size() - 2]);
  run();
  behaves(push);
  run();
  const auto seen = who.messages();
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].substr(1), ok(5, node(room)));
  EXPECT_EQ(seen[1].front(), 97);
}

TEST_F(live_interest, answers_a_second_viewer_at_once) {
  const uint64_t room = make_room();
  viewer(room);
  groups[0]->script = nullptr;
  viewer(room, 1);  // expects its answer
  EXPECT_EQ(told(), "+");
}

TEST_F(live_interest, loses_its_frames_a_while_after_the_last_viewer_has_gone) {
  const uint64_t room = make_room();
  auto& pusher = connect();
  stream(pusher, node(room), "aGk=");
  auto& who = viewer(room);
  who.end();
  run();
  pass(1s);
  EXPECT_EQ(told(), "o+");
  pass(2s);
  EXPECT_EQ(told(), "o+o");
  viewer(room);
  EXPECT_EQ(told(), "o+o+");
}

TEST_F(live_interest, of_a_room_made_here_loses_its_frames_when_nobody_comes) {
  auto& owner = connect();
  vroom(owner, 1);
  pass(1s);
  EXPECT_EQ(told(), "");
  pass(3s);
  EXPECT_EQ(told(), "o");
  owner.end();
  run();
  EXPECT_EQ(told(), "o-");
}

TEST_F(live_interest, is_the_same_at_a_new_owner) {
  const uint64_t pushed = make_room(), seen = make_room();
  auto& pusher = connect();
  stream(pusher, node(pushed), "aGk=");
  auto& who = viewer(seen, 0, true, true);
  own("group-1", 2);
  run();
  for (const LiveRequest& each : groups[1]->got) {
    if (each.has_interest()) {
      EXPECT_EQ(each.interest().no_frames(), each.vroom() == pushed);
    }
  }
  EXPECT_EQ(told(1).size(), 2U);
  groups[1]->frame(seen, 1, "hi");
  run();
  EXPECT_EQ(bodies(who), std::vector<std::string>{"hi"});
}

TEST_F(live_interest, of_a_viewer_whose_room_moves_while_it_subscribes_is_with_frames) {
  const uint64_t room = make_room();
  auto& pusher = connect();
  stream(pusher, node(room), "aGk=");
  groups[0]->script = nullptr;
  auto& who = connect(1);
  vroom(who, 5, node(room), R"(,"reqInt":1)");
  own("group-1", 2);
  run();
  EXPECT_EQ(told(1), "+");
  EXPECT_EQ(who.messages().size(), 1U);
}

class no_events final : public live::link_events {
  void on_link_up(uint32_t) override {}
  void on_link_down(const live::place&) override {}
  void on_replies(const live::place&, std::vector<group::v1::LiveReply>&) override {}
};

// One thread sends, and is not scheduled for a while; what others queue meanwhile may be more than a stream ever
// takes.
TEST(group_links_test, more_requests_than_a_stream_has_places_for_leave_in_pieces_and_in_order) {
  const auto network = rpc::make_local_network({.queue_items = 2000});
  testing::scripted_group group(*network, "local:group-0");
  no_events events;
  live::group_links links(*network, {"gateway", "gateway-0", 1}, events);
  auto map = std::make_shared<placement::snapshot>();
  map->version = 1;
  map->nodes.push_back({"group-0", "group", "local:group-0", 1, true});
  map->groups = placement::range_map({{0, slot_count - 1, "group-0", 1}});
  links.apply(map);
  (void)links.place_of(1);
  links.flush();
  const live::place to = links.place_of(1);
  ASSERT_TRUE(to);
  for (uint64_t call = 1; call <= 5000; ++call) {
    LiveRequest request;
    request.set_call(call);
    request.mutable_interest()->set_on(true);
    ASSERT_EQ(links.queue(to, request), live::group_links::queued::ok);
  }
  links.flush();
  ASSERT_EQ(group.got.size(), 5000U);
  for (uint64_t call = 1; call <= 5000; ++call) EXPECT_EQ(group.got[call - 1].call(), call);
  links.clear();
}

}  // namespace
}  // namespace tern::gateway

// Frames of virtual rooms on their way through the gateway: forms, order, viewers that do not keep up.
#include <gtest/gtest.h>

#include "services/gateway/live/push.hpp"
#include "services/gateway/testing/live_fixture.hpp"

namespace tern::gateway {
namespace {

using gateway::testing::error_of;
using gateway::testing::fake_connection;
using group::v1::LiveRequest;
using namespace std::chrono_literals;

using live_frames = gateway::testing::live_rooms;

// ---- frames -------------------------------------------------------------------------------------------------------

TEST_F(live_frames, give_each_viewer_the_form_it_asked_for) {
  start();
  const uint64_t room = make_room();
  auto& json = viewer(room, 0);
  auto& thrift = viewer(room, 1, false);
  auto& binary = viewer(room, 0, true, true);
  groups[0]->frame(room, 4, "hi", 77);
  run();
  EXPECT_EQ(only(json), R"({"id":4,"VNode":")" + node(room) + R"(","dtype":0,"body":"aGk=","fromNode":")" +
                            to_node(account_id{77}) + R"("})");
  wire::arena memory;
  const std::string payload = only(thrift);
  const auto decoded = wire::decode<wire::tim_stream>(wire::encoding::thrift, payload, memory);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->body, "hi");
  EXPECT_EQ(decoded->vnode, node(room));
  EXPECT_EQ(only(binary), node(room) + "\x83hi");
  vroom(json, 5, node(room), R"(,"reqInt":1)");
  json.messages();
  groups[0]->frame(room, 5, "ho");
  run();
  EXPECT_EQ(only(json), node(room) + "\x83ho");
}

TEST_F(live_frames, encode_a_frame_once_per_form_for_all_io_threads) {
  start();
  const uint64_t room = make_room();
  std::vector<fake_connection*> all;
  for (size_t i = 0; i < 40; ++i) all.push_back(&viewer(room, i % 2, i % 4 < 2, i % 4 == 0));
  posts[0] = posts[1] = 0;
  groups[0]->frame(room, 1, std::string(4096, 'v'));
  run();
  EXPECT_EQ(posts[0], 1U);
  EXPECT_EQ(posts[1], 1U);
  std::map<char, std::set<const void*>> sources;
  for (fake_connection* each : all) {
    EXPECT_EQ(each->sends, 1U);
    ASSERT_EQ(each->sent_data.size(), 1U);
    const auto got = each->messages();
    ASSERT_EQ(got.size(), 1U);
    const char form = got[0][0] == 97 ? 'b' : got[0][1] == '{' ? 'j' : 't';
    sources[form].insert(*each->sent_data.begin());
  }
  ASSERT_EQ(sources.size(), 3U);
  for (const auto& [form, at] : sources) EXPECT_EQ(at.size(), 1U) << form;
  EXPECT_EQ(metric("tern_gateway_live_frames_out_total"), 40);
  EXPECT_EQ(metric("tern_gateway_live_frames_in_total"), 1);
}

TEST_F(live_frames, post_to_io_threads_with_viewers_only) {
  start();
  const uint64_t room = make_room();
  viewer(room, 1);
  posts[0] = posts[1] = 0;
  for (uint64_t i = 1; i <= 5; ++i) groups[0]->frame(room, i, "x");
  EXPECT_EQ(posts[0], 0U);
  EXPECT_GE(posts[1], 1U);
}

TEST_F(live_frames, take_frames_from_clients_in_order_and_give_them_to_the_pusher_too) {
  start();
  const uint64_t room = make_room();
  auto& who = viewer(room, 0, true, true);
  for (int i = 0; i < 5; ++i) stream(who, node(room), i % 2 == 0 ? "YQ==" : "Yg==");
  EXPECT_EQ(bodies(who), (std::vector<std::string>{"a", "b", "a", "b", "a"}));
  const auto& push = groups[0]->got.back();
  EXPECT_EQ(push.call(), 0U);
  EXPECT_EQ(push.epoch(), 1U);
  EXPECT_EQ(push.push().conn(), who.id());
}

TEST_F(live_frames, tell_the_pusher_what_the_owner_refuses) {
  start();
  const uint64_t room = make_room();
  groups[0]->script = [this](const LiveRequest& what) {
    group::v1::LiveState state;
    state.set_vroom(what.vroom());
    if (what.has_push()) {
      groups[0]->refuse(what, errc::permission_denied);
    } else {
      groups[0]->answer(what, errc::ok, &state);
    }
  };
  auto& who = connect();
  stream(who, node(room), "aGk=");
  EXPECT_EQ(only(who), error_of(94, 0, 4105, node(room)));
  live::push_live(static_cast<client&>(who.handler()), 97, node(room), "hi", 0, live::no_dtype);
  run();
  EXPECT_EQ(only(who), error_of(97, 0, 4105, node(room)));
  groups[0]->script = [this](const LiveRequest& what) { groups[0]->refuse(what, errc::overload); };
  stream(who, node(room), "aGk=");
  EXPECT_TRUE(who.messages().empty());
  EXPECT_EQ(dropped("overload"), 1);
}

TEST_F(live_frames, count_the_frames_that_are_missing) {
  start();
  const uint64_t room = make_room();
  viewer(room);
  for (const uint64_t seq : {5, 6, 9, 10, 12}) groups[0]->frame(room, seq, "x");
  run();
  EXPECT_EQ(dropped("upstream"), 3);
}

// ---- slow viewers -------------------------------------------------------------------------------------------------

TEST_F(live_frames, let_a_slow_viewer_have_the_newest_frames_in_order) {
  config.live_queue_bytes = 3000;
  start();
  const uint64_t room = make_room();
  auto& slow = viewer(room, 0, true, true);
  auto& fast = viewer(room, 0, true, true);
  slow.kernel_room = 10;
  for (uint64_t i = 1; i <= 10; ++i) {
    groups[0]->frame(room, i, std::to_string(i) + std::string(1000, '.'));
    run();
  }
  EXPECT_EQ(bodies(fast).size(), 10U);
  EXPECT_LE(slow.queued_bytes(), 1100U);  // the rest of the one frame the kernel had begun to take
  slow.kernel_room = SIZE_MAX;
  run();
  std::vector<std::string> numbers;
  for (const std::string& each : bodies(slow)) numbers.push_back(each.substr(0, each.find('.')));
  EXPECT_EQ(numbers, (std::vector<std::string>{"1", "9", "10"}));
  EXPECT_EQ(dropped("queue_bytes"), 7);
  EXPECT_EQ(dropped("queue_age"), 0);
}

TEST_F(live_frames, keep_the_newest_frame_even_if_it_is_larger_than_the_queue) {
  config.live_queue_bytes = 2000;
  start();
  const uint64_t room = make_room();
  auto& slow = viewer(room, 0, true, true);
  slow.kernel_room = 1;
  for (uint64_t i = 1; i <= 3; ++i) groups[0]->frame(room, i, std::to_string(i) + std::string(5000, '.'));
  run();
  slow.kernel_room = SIZE_MAX;
  run();
  const auto got = bodies(slow);
  ASSERT_EQ(got.size(), 2U);
  EXPECT_EQ(got[1][0], '3');
  EXPECT_EQ(dropped("queue_bytes"), 1);
}

TEST_F(live_frames, do_not_give_a_viewer_what_has_waited_too_long) {
  start();
  const uint64_t room = make_room();
  auto& slow = viewer(room, 0, true, true);
  slow.kernel_room = 1;
  for (const char* body : {"a", "b", "c"}) {
    groups[0]->frame(room, 0, body);
    run();
    pass(1000ms);
  }
  slow.kernel_room = SIZE_MAX;  // now b has waited two seconds, c one
  pass(100ms);
  EXPECT_EQ(bodies(slow), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(dropped("queue_age"), 1);
}

TEST_F(live_frames, send_frames_behind_the_answers_that_are_queued_already) {
  start();
  const uint64_t room = make_room();
  auto& who = viewer(room, 0, true, true);
  groups[0]->frame(room, 1, "before");
  const std::string ping = "\x8d";
  who.handler().on_message(who, ping, true);  // answered at the end of this wake-up
  run();
  const auto all = who.messages();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0], "\x0d");
  EXPECT_EQ(all[1].front(), 97);
}

TEST_F(live_frames, do_not_cut_off_a_viewer_for_the_rest_of_a_big_frame) {
  config.max_queue_bytes = 2000;
  start();
  const uint64_t room = make_room();
  auto& slow = viewer(room, 0, true, true);
  slow.kernel_room = 5;
  groups[0]->frame(room, 1, std::string(50'000, 'b'));
  run();
  vroom(slow, 6, node(make_room()));  // an answer behind the frame
  EXPECT_FALSE(slow.closed);
  for (int i = 0; i < 100; ++i) vroom(slow, 6, node(room));  // answers it does not read are held against it
  EXPECT_TRUE(slow.closed);
}

TEST_F(live_frames, share_the_queue_with_frames_of_the_moment_from_sessions) {
  config.live_queue_bytes = 4000;
  start();
  auto& who = connect(0, {}, false);
  auto& handler = static_cast<client&>(who.handler());
  session::v1::Out out;
  out.set_conn(who.id());
  out.set_type(95);
  out.set_live(true);
  out.set_payload("node|data");
  handler.on_out(out);
  run();
  const auto all = who.messages();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0], "_node|data");
  who.kernel_room = 1;
  for (int i = 0; i < 10; ++i) {
    auto message = std::make_shared<session::v1::RoomOut>();
    message->set_live(true);
    message->set_payload(std::to_string(i) + std::string(999, '.'));
    room_frame frame(message, shared->milliseconds(), true);
    EXPECT_TRUE(handler.on_room(frame));
  }
  run();
  who.kernel_room = SIZE_MAX;
  run();
  std::string numbers;
  for (const std::string& each : who.messages()) {
    EXPECT_EQ(each.front(), 90);  // no acknowledgement wanted
    numbers += each[1];
  }
  EXPECT_EQ(numbers, "0789");
}

}  // namespace
}  // namespace tern::gateway

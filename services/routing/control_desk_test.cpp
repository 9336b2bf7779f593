#include "services/routing/actors/control_desk.hpp"

#include <gtest/gtest.h>

#include "libs/testing/fake_clock.hpp"

namespace tern::routing {
namespace {

using std::chrono::milliseconds;

class kept_replies final : public control_sink {
 public:
  bool send(v1::ControlReply item) override {
    if (full) return false;
    all.push_back(std::move(item));
    return true;
  }
  bool send_all(std::vector<v1::ControlReply>&) override { return false; }
  void close() override { closed = true; }
  std::vector<v1::ControlReply> all;
  bool full = false;
  bool closed = false;
};

class control_streams : public ::testing::Test {
 protected:
  control_streams() {
    desk.opened(1, out);
    for (const auto* name : {"session-0", "session-1"}) {
      at.members().join({{name, "session", "addr", 1, true}, {}, true, true});
    }
    time.advance(milliseconds(300));
    at.tick();
    while (auto next = at.plan()) at.committed(*std::move(next));
  }
  control_desk::standing leads() { return {&at, 4, "here:1"}; }
  bool ask(const v1::ControlRequest& what) { return desk.asked(1, what, time, leads()); }
  static v1::ControlRequest drain() {
    v1::ControlRequest what;
    what.set_call(7);
    what.mutable_drain()->set_node("session-0");
    what.mutable_drain()->set_on(true);
    return what;
  }
  static v1::ControlRequest watch() {
    v1::ControlRequest what;
    what.set_call(8);
    what.mutable_status()->set_watch(true);
    return what;
  }

  testing::fake_clock time;
  cluster at{time, {{}, {"a"}, {"routing-0", "routing", "here:1", 1, true}, {}}, 4};
  std::shared_ptr<kept_replies> out = std::make_shared<kept_replies>();
  control_desk desk;
};

TEST_F(control_streams, a_replica_that_does_not_lead_says_who_does) {
  EXPECT_FALSE(desk.asked(1, drain(), time, {nullptr, 0, "there:2"}));
  ASSERT_EQ(out->all.size(), 1U);
  EXPECT_EQ(out->all[0].call(), 7U);
  EXPECT_EQ(out->all[0].code(), static_cast<int32_t>(errc::wrong_owner));
  EXPECT_EQ(out->all[0].leader(), "there:2");
  EXPECT_EQ(at.wanted(), intents{});
}

TEST_F(control_streams, what_changes_intents_is_answered_when_it_is_stored) {
  EXPECT_TRUE(ask(drain()));
  EXPECT_TRUE(out->all.empty());
  desk.storing();
  v1::ControlRequest second = drain();
  second.set_call(9);
  second.mutable_drain()->set_on(false);
  EXPECT_TRUE(ask(second));
  desk.stored(errc::ok);
  ASSERT_EQ(out->all.size(), 1U) << "the second waits for its own";
  EXPECT_EQ(out->all[0].call(), 7U);
  EXPECT_EQ(out->all[0].code(), 0);
  EXPECT_GE(out->all[0].plan_size(), 1);
  desk.storing();
  desk.stored(errc::unavailable);
  ASSERT_EQ(out->all.size(), 2U);
  EXPECT_EQ(out->all[1].code(), static_cast<int32_t>(errc::unavailable));
}

TEST_F(control_streams, what_changes_nothing_is_answered_at_once) {
  intents drained;
  drained.drains.insert("session-0");
  at.want(std::move(drained));
  EXPECT_FALSE(ask(drain()));
  ASSERT_EQ(out->all.size(), 1U);
  EXPECT_EQ(out->all[0].code(), 0);
}

TEST_F(control_streams, watchers_hear_of_changes_four_times_a_second_at_most) {
  EXPECT_FALSE(ask(watch()));
  desk.tick(time, leads());
  ASSERT_EQ(out->all.size(), 1U);
  EXPECT_EQ(out->all[0].status().nodes_size(), 3);
  EXPECT_EQ(out->all[0].status().term(), 4U);
  time.advance(milliseconds(300));
  desk.tick(time, leads());
  EXPECT_EQ(out->all.size(), 1U) << "nothing has changed";
  at.members().report("session-0", 1, 5, 1);
  time.advance(milliseconds(300));
  desk.tick(time, leads());
  EXPECT_EQ(out->all.size(), 2U);
  at.members().report("session-0", 1, 6, 1);
  time.advance(milliseconds(100));
  desk.tick(time, leads());
  EXPECT_EQ(out->all.size(), 2U) << "not so soon";
  time.advance(milliseconds(150));
  desk.tick(time, leads());
  EXPECT_EQ(out->all.size(), 3U);
}

TEST_F(control_streams, when_the_replica_leads_no_more_everybody_is_sent_on) {
  ask(watch());
  ask(drain());
  desk.lost("there:2");
  ASSERT_EQ(out->all.size(), 2U);
  for (const auto& each : out->all) {
    EXPECT_EQ(each.code(), static_cast<int32_t>(errc::wrong_owner));
    EXPECT_EQ(each.leader(), "there:2");
    EXPECT_EQ(each.plan_size(), 0);
  }
  time.advance(milliseconds(1000));
  desk.tick(time, leads());
  EXPECT_EQ(out->all.size(), 2U) << "the watch is over";
}

TEST_F(control_streams, who_does_not_read_or_watches_too_often_is_cut_off) {
  for (int i = 0; i < 8; ++i) ask(watch());
  EXPECT_FALSE(out->closed);
  ask(watch());
  EXPECT_TRUE(out->closed);
  out->closed = false;
  out->full = true;
  ask(drain());
  desk.storing();
  desk.stored(errc::ok);
  EXPECT_TRUE(out->closed);
  desk.closed(1);
  time.advance(milliseconds(1000));
  desk.tick(time, leads());
}

}  // namespace
}  // namespace tern::routing

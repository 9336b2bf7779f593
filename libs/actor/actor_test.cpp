#include "libs/actor/actor.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "libs/testing/actor_fixture.hpp"

namespace tern::actor {
namespace {

using namespace std::chrono_literals;
using tick = caf::atom_constant<caf::atom("tick")>;

struct counter_state {
  static inline const char* name = "counter";
  int sum = 0;
  int ticks = 0;
};

caf::behavior counter(stateful<counter_state>* self) {
  set_common_handlers(self);
  self->delayed_send(self, 5s, tick::value);
  return {[self](int n) {
            if (n < 0) throw std::runtime_error("negative");
            self->state.sum += n;
          },
          [self](tick) { ++self->state.ticks; }};
}

class counter_test : public testing::actor_fixture {};

TEST_F(counter_test, handles_messages_and_timers_by_hand) {
  const auto it = actors.spawn(counter);
  run();
  caf::anon_send(it, 3);
  caf::anon_send(it, 4);
  run();
  EXPECT_EQ(state_of<counter_state>(it).sum, 7);
  advance(4s);
  EXPECT_EQ(state_of<counter_state>(it).ticks, 0);
  advance(2s);
  EXPECT_EQ(state_of<counter_state>(it).ticks, 1);
  end(it);
}

TEST_F(counter_test, is_measured_by_type_and_of_one_message_in_32_how_long_it_waited) {
  const auto of_counters = [] {
    auto* at = type_tally::first().load();
    while (at != nullptr && std::string_view(at->type) != "counter") at = at->next;
    return at;
  }();
  ASSERT_NE(of_counters, nullptr);
  const auto sum_of = [](const auto& distribution) {
    uint64_t sum = 0;
    for (size_t i = 0; i <= distribution.bounds().size(); ++i) sum += distribution.count(i);
    return sum;
  };
  const auto alive = of_counters->alive.load();
  const auto messages = of_counters->messages.read();
  const auto waits = sum_of(of_counters->wait);
  const auto it = actors.spawn(counter);
  run();
  for (int i = 0; i < 64; ++i) caf::anon_send(it, 1);
  run();
  EXPECT_EQ(of_counters->alive.load(), alive + 1);
  EXPECT_EQ(of_counters->messages.read(), messages + 64);
  // Two of them were looked at; the first was still in the mailbox then, so the second was let go.
  EXPECT_EQ(sum_of(of_counters->wait), waits + 1);
  EXPECT_EQ(sum_of(of_counters->depth), waits + 1);
  end(it);
}

TEST_F(counter_test, answers_an_unexpected_message_and_lives_on) {
  const auto it = actors.spawn(counter);
  run();
  auto answer = self->request(it, caf::infinite, std::string("what"));
  run();
  answer.receive([](int) { FAIL(); }, [](const caf::error& e) { EXPECT_EQ(e, caf::sec::unexpected_message); });
  caf::anon_send(it, 1);
  run();
  EXPECT_EQ(state_of<counter_state>(it).sum, 1);
  end(it);
}

TEST_F(counter_test, ends_by_an_exception_of_a_handler) {
  const auto it = actors.spawn(counter);
  self->monitor(it);
  run();
  caf::anon_send(it, -1);
  run();
  bool down = false;
  self->receive([&](const caf::down_msg& end) {
    down = true;
    EXPECT_EQ(end.reason, caf::sec::runtime_error);
  });
  EXPECT_TRUE(down);
}

TEST(actor_system, runs_actors_on_its_own_threads) {
  auto config = make_actor_config(2);
  caf::actor_system actors{config};
  caf::scoped_actor self{actors};
  const auto it =
      actors.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int n) { return n + 1; }}; });
  self->request(it, 10s, 1).receive([](int n) { EXPECT_EQ(n, 2); }, [](const caf::error&) { FAIL(); });
  caf::anon_send_exit(it, caf::exit_reason::user_shutdown);
}

}  // namespace
}  // namespace tern::actor

#include "libs/actor/inline_run.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "libs/actor/actor.hpp"

namespace tern::actor {
namespace {

using caf::actor;

/// Tells the thread it runs in and passes the number on, one less, until it is 0. A negative number only tells
/// `last`.
caf::behavior relay(caf::event_based_actor*, std::vector<std::thread::id>* ran, std::promise<void>* end,
                    std::atomic<std::thread::id>* last, std::shared_ptr<std::vector<actor>> all) {
  return {[=](int left) {
    if (left < 0) {
      last->store(std::this_thread::get_id());
      return;
    }
    ran->push_back(std::this_thread::get_id());
    if (left == 0) {
      end->set_value();
    } else {
      post((*all)[static_cast<size_t>(left) % all->size()], left - 1);
    }
  }};
}

class inline_run : public ::testing::Test {
 protected:
  ~inline_run() override {
    for (const actor& one : *all) caf::anon_send_exit(one, caf::exit_reason::user_shutdown);
    all->clear();
  }
  /// An actor belongs to a thread of the scheduler until it has nothing to do: waits until all are free.
  void spawn(size_t count) {
    for (size_t i = 0; i < count; ++i) all->push_back(actors.spawn(relay, &ran, &end, &last, all));
    for (const actor& one : *all) {
      while (last != std::this_thread::get_id()) {
        last = std::thread::id{};
        {
          const inline_scope scope(&actors);
          post(one, -1);
        }
        while (last == std::thread::id{}) std::this_thread::yield();
      }
      last = std::thread::id{};
    }
  }
  void wait() { end.get_future().wait(); }

  system_config config = make_actor_config(2);
  caf::actor_system actors{config};
  std::vector<std::thread::id> ran;
  std::promise<void> end;
  std::atomic<std::thread::id> last{};
  std::shared_ptr<std::vector<actor>> all = std::make_shared<std::vector<actor>>();
};

TEST_F(inline_run, actors_posted_to_in_a_scope_run_in_its_thread_when_it_ends) {
  spawn(2);
  {
    const inline_scope scope(&actors);
    post(all->front(), 3);
    EXPECT_TRUE(ran.empty());
  }
  wait();
  EXPECT_EQ(ran, std::vector<std::thread::id>(4, std::this_thread::get_id()));
  EXPECT_EQ(inline_scope::current(), nullptr);
}

TEST_F(inline_run, without_a_scope_or_in_one_that_is_not_wanted_the_scheduler_runs_them) {
  spawn(1);
  {
    const inline_scope scope(&actors, false);
    post(all->front(), 0);
  }
  wait();
  EXPECT_NE(ran.front(), std::this_thread::get_id());
}

TEST_F(inline_run, a_scope_inside_a_scope_leaves_the_work_to_the_outer_one) {
  spawn(1);
  {
    const inline_scope outer(&actors);
    {
      const inline_scope inner(&actors);
      post(all->front(), 0);
    }
    EXPECT_TRUE(ran.empty());
  }
  wait();
  EXPECT_EQ(ran.front(), std::this_thread::get_id());
}

TEST_F(inline_run, a_long_chain_goes_on_in_the_scheduler) {
  spawn(2);
  {
    const inline_scope scope(&actors);
    post(all->front(), 99);
  }
  wait();
  ASSERT_EQ(ran.size(), 100U);
  EXPECT_EQ(ran.front(), std::this_thread::get_id());
  EXPECT_NE(ran.back(), std::this_thread::get_id());
}

TEST_F(inline_run, every_message_is_handled_once_whoever_runs_the_actor) {
  std::atomic<int> sum{0};
  const auto counter = actors.spawn([&sum](caf::event_based_actor* self) -> caf::behavior {
    return {[&sum](int n) { sum += n; }, [self](caf::ok_atom) { self->quit(); }};
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 2000; ++i) {
        const inline_scope scope(&actors, t % 2 == 0);
        post(counter, 1);
      }
    });
  }
  for (auto& one : threads) one.join();
  caf::scoped_actor self{actors};
  self->monitor(counter);
  post(counter, caf::ok_atom::value);
  self->receive([](const caf::down_msg&) {});
  EXPECT_EQ(sum, 8000);
}

}  // namespace
}  // namespace tern::actor

#include "libs/actor/directory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>

#include "libs/actor/actor.hpp"
#include "libs/base/ids.hpp"
#include "libs/testing/actor_fixture.hpp"

namespace tern::actor {
namespace {

struct word {
  std::string text;
};
struct lost {};
using test_event = std::variant<word, lost>;
struct test_mail {
  std::vector<test_event> events;
};
using test_directory = directory<room_id, test_mail, lost>;

}  // namespace
}  // namespace tern::actor

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(tern::actor::test_mail)

namespace tern::actor {
namespace {

using lines = std::vector<std::string>;

/// What an actor has seen: "1.2:a b" is one mail of two words to the actor of key 1 and epoch 2.
caf::behavior recorder(caf::event_based_actor* self, lines* seen, room_id key, uint64_t epoch) {
  return {[=](test_mail& what) {
    std::string line = std::to_string(key.value) + "." + std::to_string(epoch) + ":";
    bool over = false;
    for (const test_event& one : what.events) {
      over = over || std::holds_alternative<lost>(one);
      line += std::holds_alternative<lost>(one) ? "lost" : std::get<word>(one).text + " ";
    }
    seen->push_back(line);
    if (over) self->quit();
  }};
}

class directory_test : public testing::actor_fixture {
 protected:
  ~directory_test() override {
    dir.end_if([](room_id) { return true; });
    run();
  }
  lines take() {
    run();
    return std::exchange(seen, {});
  }

  static constexpr room_id one{1}, two{2};
  lines seen;
  test_directory dir{[this](room_id key, uint64_t epoch) { return actors.spawn(recorder, &seen, key, epoch); }};
};

TEST_F(directory_test, events_of_one_key_are_one_mail_in_their_order) {
  std::vector<test_directory::addressed> items;
  items.push_back({one, word{"a"}, 1});
  items.push_back({two, word{"b"}, 1});
  items.push_back({one, word{"c"}, 1});
  dir.post(items);
  EXPECT_TRUE(items.empty());
  EXPECT_EQ(take(), (lines{"1.1:a c ", "2.1:b "}));
  EXPECT_EQ(dir.size(), 2U);
}

TEST_F(directory_test, an_actor_is_spawned_once) {
  dir.post(one, word{"a"});
  const auto first = dir.find(one);
  dir.post(one, word{"b"});
  EXPECT_EQ(dir.find(one), first);
  EXPECT_EQ(dir.find(two), caf::actor{});
  EXPECT_EQ(take(), (lines{"1.0:a ", "1.0:b "}));
}

TEST_F(directory_test, an_actor_of_an_older_epoch_is_ended_and_replaced) {
  dir.post(one, word{"a"}, 1);
  dir.post(one, word{"b"}, 2);
  EXPECT_EQ(take(), (lines{"1.1:a ", "1.1:lost", "1.2:b "}));
  dir.post(one, word{"late"}, 1);  // the newer actor tells by itself what it does not take
  EXPECT_EQ(take(), lines{"1.2:late "});
  EXPECT_EQ(dir.size(), 1U);
}

TEST_F(directory_test, what_is_only_for_those_that_are_there_spawns_nobody) {
  EXPECT_FALSE(dir.post_if_present(one, word{"a"}));
  dir.post(one, word{"b"});
  EXPECT_TRUE(dir.post_if_present(one, word{"c"}));
  std::vector<test_directory::addressed> items;
  items.push_back({one, word{"d"}});
  items.push_back({two, word{"e"}});
  items.push_back({two, word{"f"}});
  EXPECT_EQ(dir.post_if_present(items), 2U);
  EXPECT_TRUE(items.empty());
  EXPECT_EQ(take(), (lines{"1.0:b ", "1.0:c ", "1.0:d "}));
}

TEST_F(directory_test, an_actor_leaves_only_when_no_mail_is_on_its_way) {
  dir.post(one, word{"a"});
  const auto id = dir.find(one).id();
  dir.post(one, word{"b"});
  EXPECT_FALSE(dir.retire(one, id, 1));
  EXPECT_TRUE(dir.retire(one, id, 2));
  EXPECT_EQ(dir.size(), 0U);
  EXPECT_TRUE(dir.retire(one, id, 2));  // out already
}

TEST_F(directory_test, who_was_replaced_takes_nobody_else_out) {
  dir.post(one, word{"a"}, 1);
  const auto old = dir.find(one).id();
  dir.post(one, word{"b"}, 2);
  EXPECT_TRUE(dir.retire(one, old, 1));
  dir.forget(one, old);
  EXPECT_EQ(dir.size(), 1U);
  dir.forget(one, dir.find(one).id());
  EXPECT_EQ(dir.size(), 0U);
}

TEST_F(directory_test, a_broadcast_reaches_all_and_counts_as_a_mail) {
  dir.post(one, word{"a"});
  dir.post(two, word{"b"});
  dir.broadcast(word{"all"});
  EXPECT_FALSE(dir.retire(one, dir.find(one).id(), 1));
  const lines got = take();
  EXPECT_EQ(std::count(got.begin(), got.end(), "1.0:all "), 1);
  EXPECT_EQ(std::count(got.begin(), got.end(), "2.0:all "), 1);
}

TEST_F(directory_test, those_whose_range_is_lost_are_told_last_and_are_out) {
  dir.post(one, word{"a"}, 1);
  dir.post(two, word{"b"}, 3);
  EXPECT_EQ(dir.end_if([](room_id, uint64_t epoch) { return epoch < 3; }), 1U);
  EXPECT_EQ(dir.find(one), caf::actor{});
  const lines got = take();
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(std::count(got.begin(), got.end(), "1.1:lost"), 1);
  EXPECT_EQ(std::count(got.begin(), got.end(), "2.3:lost"), 0);
  EXPECT_EQ(dir.end_if([](room_id key) { return key == two; }), 1U);
  EXPECT_EQ(dir.size(), 0U);
}

TEST_F(directory_test, a_service_without_epochs_spawns_by_the_key_alone) {
  test_directory plain{[this](room_id key) { return actors.spawn(recorder, &seen, key, 9); }};
  plain.post(two, word{"a"});
  plain.end_if([](room_id) { return true; });
  EXPECT_EQ(take(), (lines{"2.9:a ", "2.9:lost"}));
}

}  // namespace
}  // namespace tern::actor

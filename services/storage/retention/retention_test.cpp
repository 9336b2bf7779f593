// Old messages go, by age and by domain, while the shard is in use.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "libs/sql/connection.hpp"
#include "libs/wire/message.hpp"
#include "services/storage/repositories/store_fixture.hpp"
#include "services/storage/retention/retention_job.hpp"

namespace tern::storage {
namespace {

using days = retention_rules::days;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(retention_rules, tell_how_long_a_domain_keeps) {
  const auto none = parse_retention(0, {});
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->any());
  const auto some = parse_retention(0, {"short=8", "=100", "a=b=30"});
  ASSERT_TRUE(some) << some.error().detail;
  EXPECT_TRUE(some->any());
  EXPECT_EQ(some->of("short"), days(8));
  EXPECT_EQ(some->of(""), days(100));
  EXPECT_EQ(some->of("a=b"), days(30));
  EXPECT_EQ(some->of("other"), std::nullopt);
  EXPECT_EQ(some->shortest(), days(8));
  EXPECT_EQ(some->longest(), std::nullopt);
  const auto all = parse_retention(60, {"short=8"});
  EXPECT_EQ(all->of("other"), days(60));
  EXPECT_EQ(all->longest(), days(60));
  const auto but_one = parse_retention(60, {"ever=0"});
  EXPECT_EQ(but_one->of("ever"), std::nullopt);
  EXPECT_EQ(but_one->shortest(), days(60));
  EXPECT_EQ(but_one->longest(), std::nullopt);
}

TEST(retention_rules, refuse_what_makes_no_sense) {
  for (const uint64_t wrong : {1, 7}) EXPECT_FALSE(parse_retention(wrong, {})) << wrong;
  for (const char* wrong :
       {"", "a", "a=", "a=x", "a=9x", "a=7", "a=-9", "a=36501", "a= 9", "a=99999999999999999999"}) {
    EXPECT_FALSE(parse_retention(0, {wrong})) << wrong;
  }
  EXPECT_FALSE(parse_retention(0, {"a=9", "a=10"}));
}

constexpr int64_t day = std::chrono::nanoseconds(days(1)).count();

class retention : public store_test {
 protected:
  void SetUp() override {
    store_test::SetUp();
    now_ = system_clock().wall_ns();
    ring_ = std::make_shared<key_ring>(dsn_, how_);
    ASSERT_TRUE(ring_->load());
  }

  /// A message of `domain`'s alice that is `age` days old.
  message_row aged(uint64_t mid, int64_t age, conversation_id in = talk, const std::string& domain = "dom") {
    wire::tim_message what;
    wire::tid from;
    from.node = "alice";
    from.domain = domain;
    what.from_tid = from;
    std::string body;
    wire::encode_stored(what, body);
    auto row = message(mid, alice, "k" + std::to_string(mid), std::move(body), in);
    row.timestamp_ns = now_ - age * day;
    return row;
  }
  /// Messages of these ages, mids from 1.
  void write(const std::vector<int64_t>& ages, conversation_id in = talk, const std::string& domain = "dom") {
    write_batch batch;
    for (size_t i = 0; i < ages.size(); ++i) batch.messages.push_back(aged(i + 1, ages[i], in, domain));
    batch.conversations.push_back(conversation(ages.size(), in));
    commit(batch);
  }
  retention_job job(uint64_t others, const std::vector<std::string>& list = {}) {
    auto rules = parse_retention(others, list);
    EXPECT_TRUE(rules) << rules.error().detail;
    return {ring_, *rules, time_};
  }
  /// One pass; how many messages went.
  uint64_t pass(retention_job& of, size_t rows = 64) {
    uint64_t gone = 0;
    for (int steps = 0; steps < 100'000; ++steps) {
      const auto step = of.step(rows);
      if (!step) {
        ADD_FAILURE() << step.error().detail;
        return gone;
      }
      EXPECT_LE(step->expired, rows);
      gone += step->expired;
      if (step->done) return gone;
    }
    ADD_FAILURE() << "it does not end";
    return gone;
  }
  uint64_t pass(retention_job&& of, size_t rows = 64) { return pass(of, rows); }
  history_page page(bool newest_first, conversation_id in = talk, uint64_t from = 0) {
    auto query = history_of(in);
    query.newest_first = newest_first;
    query.from_mid = from;
    query.limit = 100'000;
    auto found = reader_->history(query);
    EXPECT_TRUE(found) << found.error().detail;
    return found ? *found : history_page{};
  }
  std::vector<uint64_t> left(conversation_id in = talk) { return mids(page(false, in)); }
  uint64_t head(conversation_id in = talk) {
    const conversation_id ids[] = {in};
    const auto rows = writer_->load(ids);
    return rows && rows->size() == 1 ? rows->front().head : 0;
  }

  int64_t now_ = 0;
  const clock& time_ = system_clock();
  std::shared_ptr<key_ring> ring_;
};
INSTANTIATE_TEST_SUITE_P(all, retention, ::testing::Values("sqlite", "pg"),
                         [](const auto& param) { return param.param; });

TEST_P(retention, what_is_older_goes_and_the_rest_stays) {
  write({40, 31, 29, 1, 0});
  EXPECT_EQ(pass(job(30)), 2U);
  EXPECT_THAT(left(), ElementsAre(3, 4, 5));
  EXPECT_EQ(pass(job(30)), 0U);
}

TEST_P(retention, a_history_without_messages_goes_on_with_its_next_mid) {
  write({40, 39, 38});
  EXPECT_EQ(pass(job(30)), 3U);
  EXPECT_THAT(left(), IsEmpty());
  EXPECT_EQ(head(), 3U);
  reopen();
  EXPECT_EQ(head(), 3U) << "for the next owner, too";
  const auto seen = page(false, talk, 1);
  ASSERT_TRUE(seen.conversation);
  EXPECT_EQ(seen.reached, 3U) << "who is behind is up to date now";
  write_batch next;
  next.messages = {aged(4, 0)};
  commit(next);
  EXPECT_EQ(head(), 4U);
  EXPECT_THAT(left(), ElementsAre(4));
}

TEST_P(retention, who_is_behind_goes_on_with_what_is_left) {
  write({50, 49, 48, 47, 5, 4});
  EXPECT_EQ(pass(job(30)), 4U);
  const auto drained = page(false, talk, 2);
  EXPECT_THAT(mids(drained), ElementsAre(5, 6));
  EXPECT_EQ(drained.reached, 6U);
  EXPECT_THAT(mids(page(true)), ElementsAre(6, 5));
}

TEST_P(retention, only_a_beginning_goes_whatever_clocks_said) {
  write({40, 10, 50, 45, 2});
  EXPECT_EQ(pass(job(30)), 1U);
  EXPECT_THAT(left(), ElementsAre(2, 3, 4, 5));
}

TEST_P(retention, recalled_messages_go_like_others) {
  write({40, 39, 38, 1});
  write_batch recall;
  recall.recalled = {{talk, 2}, {talk, 3}};
  commit(recall);
  EXPECT_EQ(pass(job(30)), 3U);
  EXPECT_THAT(left(), ElementsAre(4));
}

TEST_P(retention, each_domain_keeps_as_long_as_it_says) {
  write({40, 9}, talk, "short");
  write({40, 9}, other_talk, "ever");
  const conversation_id third{0x5000000000000001U, 9};
  write({40, 9}, third, "else");
  EXPECT_EQ(pass(job(30, {"short=8", "ever=0"})), 3U);
  EXPECT_THAT(left(), IsEmpty());
  EXPECT_THAT(left(other_talk), ElementsAre(1, 2));
  EXPECT_THAT(left(third), ElementsAre(2));
}

TEST_P(retention, a_room_is_of_the_domain_it_was_made_in) {
  for (const auto id : {hall, den}) {
    auto batch = talk_in(id, 3);
    auto row = room(id);
    row.domain = id == hall ? "short" : "long";
    batch.rooms = {row};
    for (auto& one : batch.messages) one.timestamp_ns = now_ - 20 * day;
    commit(batch);
  }
  EXPECT_EQ(pass(job(0, {"short=10", "long=30"})), 3U);
  EXPECT_THAT(left(in_hall), IsEmpty());
  EXPECT_EQ((*reader_->room(hall))->second, 3U) << "the room's head stays";
  EXPECT_THAT(left({den.value, 0}), ElementsAre(1, 2, 3));
}

TEST_P(retention, a_message_that_does_not_tell_its_domain_is_kept_longest) {
  write_batch batch;
  for (uint64_t mid = 1; mid <= 2; ++mid) {
    auto row = message(mid, alice, "k" + std::to_string(mid), "no message");
    row.timestamp_ns = now_ - (mid == 1 ? 70 : 40) * day;
    batch.messages.push_back(row);
  }
  batch.conversations = {conversation(2)};
  commit(batch);
  EXPECT_EQ(pass(job(0, {"short=8"})), 0U);
  EXPECT_EQ(pass(job(60, {"short=8"})), 1U);
}

TEST_P(retention, what_waits_in_the_outbox_is_not_deleted) {
  write({60, 50, 45, 40, 1});
  auto waiting = entry(9, 3);
  waiting.accepted_ns = now_ - 45 * day;
  write_batch batch;
  batch.outbox = {waiting};
  commit(batch);
  EXPECT_EQ(pass(job(30)), 2U);
  EXPECT_TRUE(writer_->scan_outbox(0, 10)->at(0).message);
  write_batch done;
  done.outbox_done = {9};
  commit(done);
  EXPECT_EQ(pass(job(30)), 2U);
  EXPECT_THAT(left(), ElementsAre(5));
}

TEST_P(retention, a_clock_that_is_years_ahead_deletes_nothing_young) {
  write({40, 1});
  struct : clock {
    time_point now() const override { return system_clock().now(); }
    int64_t wall_ns() const override { return system_clock().wall_ns() + 3650 * day; }
  } ahead;
  retention_job hasty(ring_, *parse_retention(30, {}), ahead);
  // A file has no other clock than the node's.
  EXPECT_EQ(pass(hasty), GetParam() == "pg" ? 1U : 2U);
}

TEST_P(retention, many_conversations_go_in_small_steps_and_in_the_order_of_keys) {
  write_batch batch;
  std::vector<conversation_id> all;
  for (uint64_t i = 0; i < 300; ++i) {
    all.push_back({i << 54U, i + 1});
    for (uint64_t mid = 1; mid <= 1 + i % 3; ++mid)
      batch.messages.push_back(aged(mid, mid == 3 ? 1 : 40, all.back()));
    batch.conversations.push_back(conversation(1 + i % 3, all.back()));
  }
  commit(batch);
  auto work = job(30);
  double before = 0;
  uint64_t gone = 0, steps = 0;
  for (;;) {
    const auto step = work.step(16);
    ASSERT_TRUE(step) << step.error().detail;
    ++steps;
    gone += step->expired;
    EXPECT_LE(step->expired, 16U);
    EXPECT_LE(step->looked, 16U);
    EXPECT_GE(step->ratio, 0);
    EXPECT_LE(step->ratio, 1);
    before = step->ratio;
    if (step->done) break;
  }
  EXPECT_EQ(before, 1);
  EXPECT_EQ(gone, 100U * (1 + 2 + 2));
  EXPECT_GE(steps, 500U / 16);
  for (uint64_t i = 0; i < 300; ++i) EXPECT_EQ(head(all[i]), 1 + i % 3);
}

TEST_P(retention, another_process_goes_on_where_one_was_killed) {
  constexpr uint64_t count = 1500;
  write(std::vector<int64_t>(count, 40));
  write({40, 1}, other_talk);
  size_t kills = 0;
  while (left().size() + left(other_talk).size() > 1 && kills < 400) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto ring = std::make_shared<key_ring>(dsn_, how_);
      if (!ring->load()) ::_exit(1);
      retention_job work(ring, *parse_retention(30, {}), time_);
      while (work.step(8)) {
      }
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(20'000 + kills * 5'000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ++kills;
    // However it ended, what is left is an end of the history, and the head is known.
    const auto rest = left();
    for (size_t i = 0; i < rest.size(); ++i) ASSERT_EQ(rest[i], count - rest.size() + i + 1);
    ASSERT_EQ(head(), count);
  }
  EXPECT_GT(kills, 1U);
  EXPECT_THAT(left(), IsEmpty());
  EXPECT_THAT(left(other_talk), ElementsAre(2));
  auto done = (*sql::open(dsn_))->query("select done from chore where name = 'retention'");
  EXPECT_EQ(sql::as_int(done->front()[0]), static_cast<int64_t>(count) + 1) << "each counted once";
}

TEST_P(retention, the_writer_goes_on_meanwhile) {
  constexpr uint64_t old = 2000;
  write(std::vector<int64_t>(old, 40));
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> written{old};
  std::thread people([&] {
    while (!stop) {
      const uint64_t mid = written + 1;
      write_batch batch;
      batch.messages = {aged(mid, 0)};
      auto row = conversation(mid);
      row.relation_version = mid;  // so that the row is written, too
      batch.conversations = {row};
      batch.recalled = {{talk, mid % old + 1}};
      batch.released_keys = {message(mid % old + 1, alice, "k" + std::to_string(mid % old + 1))};
      const auto done = writer_->commit(batch);
      ASSERT_TRUE(done) << done.error().detail;
      written = mid;
    }
  });
  auto work = job(30);
  uint64_t gone = 0;
  for (int passes = 0; passes < 500 && gone < old; ++passes) gone += pass(work, 32);
  stop = true;
  people.join();
  EXPECT_EQ(gone, old);
  EXPECT_EQ(head(), written);
  reopen();
  EXPECT_EQ(head(), written);
  for (const auto mid : left()) EXPECT_GT(mid, old);
}

TEST_P(retention, slots_on_the_move_are_left_alone) {
  write({40, 1});
  write({40, 1}, other_talk);
  const auto slot = std::to_string(slot_of(talk));
  auto database = *sql::open(dsn_);
  ASSERT_TRUE(database->script("insert into slot_owner values (" + slot + ", " + slot +
                               ", 1, 0, 7, 1, 0, 0, 0, 0, '', 0, 0, 0)"));
  EXPECT_EQ(pass(job(30)), 1U);
  EXPECT_THAT(left(), ElementsAre(1, 2));
  EXPECT_THAT(left(other_talk), ElementsAre(2));
}

}  // namespace
}  // namespace tern::storage

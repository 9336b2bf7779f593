#include "services/storage/logic/writer_engine.hpp"

#include <gtest/gtest.h>

#include "libs/testing/fake_clock.hpp"
#include "services/storage/testing/faulty_writer.hpp"
#include "services/storage/testing/requests.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using testing::ann;
using testing::append;
using testing::ben;
using testing::cat;
using testing::relate;
using testing::talk_of;

class writer_engine_test : public ::testing::Test {
 protected:
  writer_engine_test() { EXPECT_TRUE(store_->migrate()); }

  result<std::unique_ptr<writer_store>> open(uint64_t epoch) {
    if (away_) return errc::unavailable;
    auto writer = store_->open_writer();
    if (!writer) return writer.error();
    if (auto held = (*writer)->acquire(epoch); !held) return held.error();
    return std::move(*writer);
  }

  std::unique_ptr<writer_engine> engine(uint64_t epoch, size_t batch_requests = 1024, size_t keys = 100'000) {
    writer_options how;
    how.shard = "s0";
    how.epoch = epoch;
    how.batch_requests = batch_requests;
    how.cached.keys = keys;
    return std::make_unique<writer_engine>(how, time_, [this, epoch] { return open(epoch); });
  }

  void put(v1::StorageRequest message) {
    std::vector<write_request> items(1);
    items[0].message = std::move(message);
    items[0].from = sink_;
    items[0].arrived = time_.now();
    items[0].deadline = time_.now() + 1500ms;
    engine_->add(std::move(items));
  }

  /// One round; its answers, in order.
  std::vector<v1::StorageReply> run() {
    last_ = engine_->run();
    send_answers(last_.answers);
    return sink_->take();
  }
  v1::StorageReply run_one(v1::StorageRequest message) {
    put(std::move(message));
    auto replies = run();
    EXPECT_EQ(replies.size(), 1U);
    return replies.empty() ? v1::StorageReply{} : replies[0];
  }
  void befriend(account_id one, account_id other) {
    run_one(relate(1, one, other, v1::Relate::ADD));
    run_one(relate(1, other, one, v1::Relate::ADD));
  }
  history_page history(account_id one, account_id other) {
    auto reader = store_->open_reader();
    history_query query;
    query.conversation = talk_of(one, other);
    query.newest_first = false;
    query.limit = 10'000;
    auto page = (*reader)->history(query);
    EXPECT_TRUE(page);
    return *page;
  }

  tern::testing::fake_clock time_;
  std::unique_ptr<store> store_ = std::move(*open_store("memory:"));
  bool away_ = false;
  std::shared_ptr<testing::recording_sink> sink_ = std::make_shared<testing::recording_sink>();
  std::unique_ptr<writer_engine> engine_ = engine(1);
  round last_;
};

errc code_of(const v1::StorageReply& reply) { return static_cast<errc>(reply.code()); }

/// Somebody whose conversation with ann is in another commit than ben's, where there are two.
account_id of_odd_slot() {
  account_id one{1};
  while (slot_of(talk_of(ann, one).hi) % 2 == slot_of(talk_of(ann, ben).hi) % 2) one.value = one.value * 5 + 1;
  return one;
}

/// Nobody has repeated himself for so long that keys are not looked up any more.
constexpr auto calm = 11s;

TEST_F(writer_engine_test, a_key_is_looked_up_only_after_the_start_and_after_repeats) {
  run_one(append(1, ann, ben, "a"));
  auto before = engine_->statements();
  run_one(append(2, ann, ben, "b"));
  EXPECT_EQ(engine_->statements() - before, 2U);
  time_.advance(calm);
  before = engine_->statements();
  EXPECT_EQ(run_one(append(3, ann, ben, "c")).appended().mid(), 3U);
  EXPECT_EQ(engine_->statements() - before, 1U);
}

TEST_F(writer_engine_test, much_that_waits_goes_in_two_commits_at_once_and_each_conversation_stays_in_order) {
  const auto odd = of_odd_slot();
  constexpr uint64_t each = 300;
  for (uint64_t i = 1; i <= each; ++i) {
    put(append(2 * i, ann, ben, "k" + std::to_string(i), "to ben", true));
    put(append(2 * i + 1, ann, odd, "k" + std::to_string(i), "to odd", true));
  }
  const auto replies = run();
  EXPECT_EQ(last_.commits, 2U);
  EXPECT_EQ(last_.messages, 2 * each);
  EXPECT_EQ(engine_->waiting(), 0U);
  ASSERT_EQ(replies.size(), 2 * each);
  for (const auto& reply : replies) EXPECT_EQ(reply.appended().mid(), reply.call() / 2);
  ASSERT_EQ(last_.deliveries.size(), 2 * each);
  for (size_t i = 1; i < 2 * each; ++i) EXPECT_LT(last_.deliveries[i - 1].entry(), last_.deliveries[i].entry());
  EXPECT_EQ(history(ann, ben).rows.size(), each);
  EXPECT_EQ(history(ann, odd).rows.size(), each);
  // A few go together.
  put(append(1000, ann, ben, "a", "", true));
  put(append(1001, ann, odd, "a", "", true));
  EXPECT_EQ(run().size(), 2U);
  EXPECT_EQ(last_.commits, 1U);
}

TEST_F(writer_engine_test, of_two_commits_at_once_the_one_with_a_known_key_is_done_again) {
  const auto odd = of_odd_slot();
  engine_ = engine(1, 1024, 1);
  for (const auto to : {ben, odd}) run_one(append(1, ann, to, "a", "", true));
  run_one(append(2, ann, ben, "b", "", true));  // the cache has room for one key
  for (const auto to : {ben, odd}) {
    time_.advance(calm);
    for (uint64_t i = 0; i < 300; ++i) {
      put(append(10 + i, ann, ben, "k" + std::to_string(i), "", true));
      put(append(1010 + i, ann, odd, "k" + std::to_string(i), "", true));
    }
    put(append(2000, ann, to, "a", "", true));
    const auto replies = run();
    ASSERT_EQ(replies.size(), 601U);
    for (const auto& reply : replies) {
      EXPECT_EQ(code_of(reply), errc::ok);
      if (reply.call() != 2000) continue;
      EXPECT_EQ(reply.appended().mid(), 1U);
      EXPECT_TRUE(reply.appended().duplicate());
    }
  }
  EXPECT_EQ(history(ann, ben).rows.size(), 302U);
  EXPECT_EQ(history(ann, odd).rows.size(), 301U);
}

TEST_F(writer_engine_test, a_key_that_only_the_database_knows_is_found_by_the_commit) {
  engine_ = engine(1, 1024, 1);
  run_one(append(1, ann, ben, "a"));
  run_one(append(2, ann, ben, "b"));
  time_.advance(calm);
  put(append(3, ann, ben, "c"));
  put(append(4, ann, ben, "a"));
  put(append(5, ann, ben, "d"));
  const auto replies = run();
  EXPECT_EQ(last_.what, round::outcome::served);
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[0].appended().mid(), 3U);
  EXPECT_EQ(replies[1].appended().mid(), 1U);
  EXPECT_TRUE(replies[1].appended().duplicate());
  EXPECT_EQ(replies[2].appended().mid(), 4U);
  EXPECT_EQ(history(ann, ben).rows.size(), 4U);
  EXPECT_EQ(last_.deliveries.size(), 2U);
  const auto before = engine_->statements();  // whoever repeats himself once does it again
  run_one(append(6, ann, ben, "e"));
  EXPECT_EQ(engine_->statements() - before, 2U);
}

TEST_F(writer_engine_test, a_repeat_that_would_be_refused_today_is_answered_with_what_was_stored) {
  engine_ = engine(1, 1024, 1);
  run_one(append(1, ann, ben, "a"));
  run_one(append(2, ann, ben, "b"));
  run_one(relate(3, ben, ann, v1::Relate::BLOCK));
  time_.advance(calm);
  EXPECT_NE(code_of(run_one(append(4, ann, ben, "c"))), errc::ok);
  const auto again = run_one(append(5, ann, ben, "a"));
  EXPECT_EQ(code_of(again), errc::ok);
  EXPECT_EQ(again.appended().mid(), 1U);
  EXPECT_TRUE(again.appended().duplicate());
}

TEST_F(writer_engine_test, many_appends_become_one_commit_with_dense_mids_and_answers_in_order) {
  for (uint64_t i = 1; i <= 100; ++i) put(append(i, i % 2 ? ann : ben, i % 2 ? ben : ann, "k" + std::to_string(i)));
  const auto replies = run();
  EXPECT_EQ(last_.what, round::outcome::served);
  EXPECT_EQ(last_.messages, 100U);
  ASSERT_EQ(replies.size(), 100U);
  for (uint64_t i = 1; i <= 100; ++i) {
    EXPECT_EQ(replies[i - 1].call(), i);
    EXPECT_EQ(replies[i - 1].appended().mid(), i);
    EXPECT_FALSE(replies[i - 1].appended().duplicate());
  }
  const auto page = history(ann, ben);
  ASSERT_EQ(page.rows.size(), 100U);
  for (uint64_t i = 1; i <= 100; ++i) EXPECT_EQ(page.rows[i - 1].mid, i);
  EXPECT_EQ(engine_->run().what, round::outcome::idle);
}

TEST_F(writer_engine_test, a_repeated_key_is_answered_with_the_first_mid_within_and_across_batches) {
  put(append(1, ann, ben, "k"));
  put(append(2, ann, ben, "k"));
  const auto replies = run();
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[1].appended().mid(), 1U);
  EXPECT_TRUE(replies[1].appended().duplicate());
  EXPECT_EQ(replies[1].appended().timestamp_ns(), replies[0].appended().timestamp_ns());
  EXPECT_TRUE(run_one(append(3, ann, ben, "k")).appended().duplicate());
  engine_ = engine(2);  // another process: nothing cached
  const auto later = run_one(append(4, ann, ben, "k"));
  EXPECT_EQ(later.appended().mid(), 1U);
  EXPECT_TRUE(later.appended().duplicate());
  EXPECT_FALSE(run_one(append(5, ben, ann, "k")).appended().duplicate());  // the key belongs to its sender
  EXPECT_EQ(history(ann, ben).rows.size(), 2U);
}

TEST_F(writer_engine_test, a_key_older_than_seven_days_is_free_again) {
  EXPECT_EQ(run_one(append(1, ann, ben, "k")).appended().mid(), 1U);
  time_.advance(24h * 7 - 1s);
  EXPECT_TRUE(run_one(append(2, ann, ben, "k")).appended().duplicate());
  time_.advance(2s);
  for (const uint64_t epoch : {uint64_t{1}, uint64_t{2}}) {  // known from the cache, and from the database
    if (epoch == 2) {
      engine_ = engine(2);
      time_.advance(24h * 7 + 1s);
    }
    const auto reply = run_one(append(3, ann, ben, "k"));
    EXPECT_EQ(reply.appended().mid(), epoch + 1);
    EXPECT_FALSE(reply.appended().duplicate());
    EXPECT_TRUE(run_one(append(4, ann, ben, "k")).appended().duplicate());
  }
}

TEST_F(writer_engine_test, permission_follows_the_relation_from_the_next_message_on_even_inside_a_batch) {
  EXPECT_EQ(code_of(run_one(append(1, ann, ben, "a", "x", false))), errc::permission_denied);
  befriend(ann, ben);
  put(append(2, ann, ben, "b", "x", false));
  put(relate(3, ben, ann, v1::Relate::BLOCK));
  put(append(4, ann, ben, "c", "x", false));
  put(append(5, ann, ben, "b", "x", false));  // a retry of what was stored is still answered with its mid
  put(append(6, ann, ben, "d", "x", true));
  const auto replies = run();
  ASSERT_EQ(replies.size(), 5U);
  EXPECT_EQ(replies[0].appended().mid(), 1U);
  EXPECT_EQ(code_of(replies[1]), errc::ok);
  EXPECT_EQ(code_of(replies[2]), errc::blocked);
  EXPECT_EQ(replies[3].appended().mid(), 1U);
  EXPECT_EQ(code_of(replies[4]), errc::blocked);
}

TEST_F(writer_engine_test, a_relation_change_reaches_both_sides_and_the_other_one_gets_the_notice) {
  run_one(relate(1, ann, ben, v1::Relate::ADD, "hello"));
  ASSERT_EQ(last_.deliveries.size(), 2U);
  const auto& mine = last_.deliveries[0];
  const auto& other = last_.deliveries[1];
  EXPECT_EQ(mine.account(), ann.value);
  EXPECT_EQ(mine.relation().mine(), uint32_t{relation_asked});
  EXPECT_EQ(mine.relation().notice_bn_type(), 0U);
  EXPECT_EQ(other.account(), ben.value);
  EXPECT_EQ(other.relation().other(), ann.value);
  EXPECT_EQ(other.relation().theirs(), uint32_t{relation_asked});
  EXPECT_EQ(other.relation().notice_bn_type(), 4U);
  EXPECT_EQ(other.relation().text(), "hello");
  EXPECT_LT(mine.entry(), other.entry());
  run_one(relate(2, ben, ann, v1::Relate::ADD));
  EXPECT_EQ(last_.deliveries[1].relation().notice_bn_type(), 5U);
  const auto again = run_one(relate(3, ann, ben, v1::Relate::ADD));
  EXPECT_EQ(code_of(again), errc::repeated);
  ASSERT_EQ(last_.deliveries.size(), 1U);  // only the notice is repeated
  EXPECT_EQ(last_.deliveries[0].account(), ben.value);
  EXPECT_EQ(last_.deliveries[0].relation().notice_bn_type(), 5U);
  EXPECT_EQ(last_.deliveries[0].relation().version(), 3U);
  EXPECT_EQ(code_of(run_one(relate(4, ann, ann, v1::Relate::ADD))), errc::permission_denied);
}

TEST_F(writer_engine_test, what_makes_no_sense_is_refused_without_harm_to_its_neighbours) {
  put(append(1, ann, ben, ""));
  put(append(2, ann, ben, std::string(25, 'k')));
  put(append(3, ann, ann, "k"));
  put(append(4, ann, ben, "k"));
  auto foreign = append(5, ann, cat, "z");
  to_proto(talk_of(ann, ben), *foreign.mutable_append()->mutable_conversation());
  put(foreign);
  put(testing::request(6));
  const auto replies = run();
  ASSERT_EQ(replies.size(), 6U);
  EXPECT_EQ(code_of(replies[0]), errc::bad_parameter);
  EXPECT_EQ(code_of(replies[1]), errc::bad_parameter);
  EXPECT_EQ(code_of(replies[2]), errc::permission_denied);
  EXPECT_EQ(replies[3].appended().mid(), 1U);
  EXPECT_EQ(code_of(replies[4]), errc::bad_parameter);
  EXPECT_EQ(code_of(replies[5]), errc::bad_interface);
}

TEST_F(writer_engine_test, a_batch_has_a_bound_and_the_rest_follows) {
  engine_ = engine(1, 10);
  for (uint64_t i = 0; i < 25; ++i) put(append(i, ann, ben, "k" + std::to_string(i)));
  EXPECT_EQ(run().size(), 10U);
  EXPECT_EQ(engine_->waiting(), 15U);
  EXPECT_EQ(run().size(), 10U);
  EXPECT_EQ(run().size(), 5U);
}

TEST_F(writer_engine_test, while_the_database_is_away_requests_wait_until_their_deadline) {
  put(append(1, ann, ben, "k"));
  away_ = true;
  EXPECT_TRUE(run().empty());
  EXPECT_EQ(last_.what, round::outcome::retry);
  time_.advance(1s);
  put(append(2, ann, ben, "l"));
  time_.advance(501ms);
  const auto late = run();
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].call(), 1U);
  EXPECT_EQ(code_of(late[0]), errc::unavailable);
  away_ = false;
  EXPECT_EQ(run().at(0).appended().mid(), 1U);
}

TEST_F(writer_engine_test, a_writer_of_a_newer_epoch_ends_this_one) {
  EXPECT_EQ(run_one(append(1, ann, ben, "k")).appended().mid(), 1U);
  auto newer = open(2);
  ASSERT_TRUE(newer);
  put(append(2, ann, ben, "l"));
  put(append(3, ann, ben, "m"));
  const auto replies = run();
  EXPECT_EQ(last_.what, round::outcome::stale);
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(code_of(replies[0]), errc::wrong_owner);
  EXPECT_EQ(code_of(replies[1]), errc::wrong_owner);
  EXPECT_EQ(history(ann, ben).rows.size(), 1U);
}

TEST_F(writer_engine_test, confirmed_entries_are_deleted_with_the_next_batch) {
  run_one(append(1, ann, ben, "k"));
  run_one(append(2, ann, ben, "l"));
  const auto before = engine_->scan(0, 100);
  ASSERT_EQ(before->size(), 2U);
  EXPECT_EQ((*before)[0].message().mid(), 1U);
  engine_->add_done({(*before)[0].entry()});
  run_one(append(3, ann, ben, "m"));
  const auto after = engine_->scan(0, 100);
  ASSERT_EQ(after->size(), 2U);
  EXPECT_EQ((*after)[0].message().mid(), 2U);
  engine_->add_done({(*after)[0].entry(), (*after)[1].entry()});
  EXPECT_EQ(engine_->run().what, round::outcome::served);
  EXPECT_TRUE(engine_->scan(0, 100)->empty());
}

TEST_F(writer_engine_test, entry_numbers_grow_over_epochs) {
  run_one(append(1, ann, ben, "k"));
  const auto first = last_.deliveries.at(0).entry();
  engine_ = engine(2);
  run_one(append(2, ann, ben, "l"));
  EXPECT_GT(last_.deliveries.at(0).entry(), first);
}

TEST_F(writer_engine_test, stamps_never_go_back_when_the_wall_clock_does) {
  const auto first = run_one(append(1, ann, ben, "k")).appended().timestamp_ns();
  time_.jump_wall(-2h);
  EXPECT_GT(run_one(append(2, ann, ben, "l")).appended().timestamp_ns(), first);
}

TEST_F(writer_engine_test, a_token_is_used_up_by_the_first_who_shows_it) {
  write_request issue;
  issue.message = testing::request(1);
  issue.message.mutable_token_issue();
  issue.from = sink_;
  issue.deadline = time_.now() + 1s;
  issue.token = token_row{"hash", ann, time_.wall_ns() + 1'000'000'000};
  issue.token_text = "text";
  write_request use;
  use.message = testing::request(2);
  use.message.mutable_token_login();
  use.from = sink_;
  use.deadline = issue.deadline;
  use.token = token_row{"hash", ann, 0};
  engine_->add({issue});
  EXPECT_EQ(run().at(0).token_issued().token(), "text");
  engine_->add({use, use});
  const auto replies = run();
  EXPECT_EQ(replies.at(0).logged_in().account(), ann.value);
  EXPECT_EQ(code_of(replies.at(1)), errc::bad_token);
  engine_->add({use});
  EXPECT_EQ(code_of(run().at(0)), errc::bad_token);
}

/// A standby that had not everything became the primary: what the engine knew of the former one holds no more.
TEST_F(writer_engine_test, another_primary_is_read_anew) {
  std::mt19937_64 dice(1);
  const double never = 0;
  testing::faulty_writer* last = nullptr;
  uint64_t term = 1;
  writer_options how;
  how.shard = "s0";
  how.epoch = 1;
  engine_ = std::make_unique<writer_engine>(how, time_, [&]() -> result<std::unique_ptr<writer_store>> {
    auto real = open(1);
    if (!real) return real.error();
    auto made = std::make_unique<testing::faulty_writer>(std::move(*real), dice, never);
    made->set_term(term);
    last = made.get();
    return std::unique_ptr<writer_store>(std::move(made));
  });
  befriend(ann, ben);
  EXPECT_EQ(run_one(append(1, ann, ben, "a")).appended().mid(), 1U);
  EXPECT_EQ(run_one(append(2, ann, ben, "b")).appended().mid(), 2U);

  auto promoted = std::move(*open_store("memory:"));
  ASSERT_TRUE(promoted->migrate());
  std::swap(store_, promoted);  // it has only the friendship
  {
    auto behind = std::exchange(engine_, engine(1));
    befriend(ann, ben);
    engine_ = std::move(behind);
  }
  term = 2;
  last->die();
  put(append(3, ann, ben, "c"));
  EXPECT_TRUE(run().empty());
  EXPECT_EQ(last_.what, round::outcome::retry);
  const auto replies = run();
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].appended().mid(), 1U);
  const auto again = run_one(append(4, ann, ben, "b"));
  EXPECT_EQ(again.appended().mid(), 2U);
  EXPECT_FALSE(again.appended().duplicate()) << "the new primary does not have it";
}

}  // namespace
}  // namespace tern::storage

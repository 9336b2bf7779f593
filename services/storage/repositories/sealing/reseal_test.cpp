// New data keys: what is under older ones, or under none, is sealed again while the shard is in use.
#include "services/storage/repositories/sealing/reseal.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "libs/sql/connection.hpp"
#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr uint64_t messages = 400;

class resealing : public store_test {
 protected:
  void SetUp() override {
    store_test::SetUp();
    ring_ = std::make_shared<key_ring>(dsn_, how_);
    ASSERT_TRUE(ring_->load());
  }

  /// One row of each kind and many messages, written by a store that does not seal.
  void write_plain() {
    auto plain = *open_store(dsn_);
    auto plain_writer = *plain->open_writer();
    ASSERT_TRUE(plain_writer->acquire(2));
    auto batch = chat(messages);
    batch.outbox = {{50, bob, talk, outbox_kind::relation, 0, "payload", 5}};
    batch.accounts = {{alice, std::string(32, 'k'), "dom", "phc", 1}};
    batch.profiles = {{alice, {}, 0, "profile"}};
    batch.notices = {{bob, 7, "notice"}};
    batch.rooms = {room(hall)};
    batch.recalled = {{talk, 5}};
    ASSERT_TRUE(plain_writer->commit(batch));
    ASSERT_TRUE(writer_->acquire(3));
  }

  int64_t count(const std::string& what) {
    auto rows = (*sql::open(dsn_))->query("select count(*) from " + what);
    EXPECT_TRUE(rows) << rows.error().detail;
    return rows ? sql::as_int(rows->front()[0]) : -1;
  }
  /// Values that are not sealed with the current key.
  int64_t left() {
    const auto begin = (GetParam() == "pg" ? "'\\x8f" : "x'8f") + key_label(ring_->current()->id) + "'";
    int64_t sum = 0;
    for (const auto& [table, value] : {std::pair("message", "body"), std::pair("account", "profile"),
                                       std::pair("room", "bean"), std::pair("notice", "body")}) {
      const std::string column = value;
      sum += count(std::string(table) + " where length(" + column + ") > 0 and substr(" + column + ", 1, 9) <> " +
                   begin);
    }
    return sum + count("outbox where length(payload) > 0 and substr(payload, 1, 9) <> " + begin);
  }
  reseal_progress finish(reseal_job& job, size_t rows = 64) {
    reseal_progress sum;
    while (!sum.done) {
      const auto step = job.step(rows);
      if (!step) {
        ADD_FAILURE() << step.error().detail;
        return sum;
      }
      sum.looked += step->looked;
      sum.sealed += step->sealed;
      sum.done = step->done;
    }
    return sum;
  }
  void expect_all_readable() {
    auto query = history_of(talk);
    query.limit = 1000;
    const auto page = reader_->history(query);
    ASSERT_TRUE(page) << page.error().detail;
    ASSERT_THAT(page->rows, SizeIs(messages - 1));
    for (const auto& row : page->rows) EXPECT_EQ(row.body, "body " + std::to_string(row.mid));
    const account_id ids[] = {alice};
    EXPECT_EQ(reader_->profiles(ids)->at(0).bean, "profile");
    EXPECT_EQ((*reader_->room(hall))->first.bean, room(hall).bean);
    EXPECT_EQ(reader_->waiting(bob, 10)->notices.at(0).body, "notice");
    EXPECT_EQ(writer_->scan_outbox(0, 10)->at(0).row.payload, "payload");
  }

  std::shared_ptr<key_ring> ring_;
};
INSTANTIATE_TEST_SUITE_P(all, resealing, ::testing::Values("sqlite", "pg"),
                         [](const auto& param) { return param.param; });

TEST_P(resealing, rows_of_before_are_sealed_once) {
  write_plain();
  EXPECT_EQ(left(), static_cast<int64_t>(messages) + 3);
  reseal_job job(ring_);
  EXPECT_EQ(finish(job).sealed, messages + 3);
  EXPECT_EQ(left(), 0);
  expect_all_readable();
  EXPECT_EQ(finish(job).looked, 0U) << "done is done";
}

TEST_P(resealing, a_new_data_key_comes_to_all_rows_and_the_old_one_is_needed_no_more) {
  write_plain();
  reseal_job job(ring_);
  finish(job);
  const auto old = ring_->current()->id;
  ASSERT_TRUE(ring_->renew());
  ASSERT_NE(ring_->current()->id, old);
  EXPECT_EQ(left(), static_cast<int64_t>(messages) + 3);
  EXPECT_EQ(finish(job).sealed, messages + 3);
  EXPECT_EQ(left(), 0);
  auto gone = (*sql::open(dsn_))->query("delete from data_key where id = $1", {static_cast<int64_t>(old)});
  ASSERT_TRUE(gone);
  store_ = *open_sealed_store(dsn_, how_);
  writer_ = writer(4);
  reader_ = *store_->open_reader();
  expect_all_readable();
}

TEST_P(resealing, another_process_goes_on_where_one_was_killed) {
  write_plain();
  size_t kills = 0;
  while (left() > 0 && kills < 200) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto ring = std::make_shared<key_ring>(dsn_, how_);
      if (!ring->load()) ::_exit(1);
      reseal_job job(ring);
      while (true) {
        const auto step = job.step(8);
        if (!step || step->done) ::_exit(0);
      }
    }
    // Time for some steps: the more often it was killed the more.
    ::usleep(static_cast<useconds_t>(5'000 + kills * 5'000));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ++kills;
  }
  EXPECT_GT(kills, 1U);
  EXPECT_EQ(left(), 0);
  expect_all_readable();
}

TEST_P(resealing, it_goes_on_at_its_place_and_not_at_the_beginning) {
  write_plain();
  {
    reseal_job first(ring_);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(first.step(100));
  }
  reseal_job second(ring_);
  const auto rest = finish(second);
  EXPECT_EQ(rest.sealed, messages + 3 - 299) << "one of the first 300 is a tombstone";
  EXPECT_LE(rest.looked, 110U);
}

TEST_P(resealing, what_people_write_meanwhile_is_not_lost) {
  write_plain();
  std::atomic<bool> stop{false};
  std::thread people([&] {
    for (uint64_t n = 1; !stop; ++n) {
      write_batch batch;
      batch.profiles = {{alice, {}, 0, "profile of " + std::to_string(n)}};
      batch.recalled = {{talk, 10 + n % 300}};
      EXPECT_TRUE(writer_->commit(batch));
    }
    write_batch last;
    last.profiles = {{alice, {}, 0, "the last profile"}};
    EXPECT_TRUE(writer_->commit(last));
  });
  reseal_job job(ring_);
  for (int pass = 0; pass < 3; ++pass) {
    finish(job, 16);
    ASSERT_TRUE(ring_->renew());
  }
  stop = true;
  people.join();
  finish(job);
  const account_id ids[] = {alice};
  EXPECT_EQ(reader_->profiles(ids)->at(0).bean, "the last profile");
  EXPECT_EQ(count("message where flags >= 2 and length(body) > 0"), 0) << "a recalled body came back";
}

TEST_P(resealing, rows_that_were_changed_stay_as_they_are) {
  write_plain();
  reseal_job job(ring_);
  finish(job);
  ASSERT_TRUE((*sql::open(dsn_))->script("update message set sender = sender + 1 where mid = 7"));
  ASSERT_TRUE(ring_->renew());
  EXPECT_EQ(finish(job).sealed, messages + 2);
  EXPECT_EQ(left(), 1);
}

TEST_P(resealing, slots_on_the_move_are_left_alone) {
  write_plain();
  const auto slot = std::to_string(slot_of(talk));
  auto database = *sql::open(dsn_);
  ASSERT_TRUE(database->script("insert into slot_owner values (" + slot + ", " + slot +
                               ", 1, 0, 7, 1, 0, 0, 0, 0, '', 0, 0, 0)"));
  reseal_job job(ring_);
  EXPECT_EQ(finish(job).sealed, 3U) << "profile, room, notice";
  EXPECT_EQ(left(), static_cast<int64_t>(messages));
}

}  // namespace
}  // namespace tern::storage

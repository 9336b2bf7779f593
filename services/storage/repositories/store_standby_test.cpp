// A shard whose database has a standby: who is written to after a promotion, and what happens without the standby.
#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "libs/sql/connection.hpp"
#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using testing::postgres_server;

class store_standbys : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = postgres_server::start();
    ASSERT_TRUE(started) << started.error().detail;
    first_ = std::move(*started);
    auto copied = postgres_server::standby_of(*first_, "second");
    ASSERT_TRUE(copied) << copied.error().detail;
    second_ = std::move(*copied);
  }

  /// Commits of the first wait for the second from here.
  void make_synchronous(const std::string& names = "second") {
    ASSERT_TRUE(first_->query("alter system set synchronous_standby_names = '" + names + "'"));
    ASSERT_TRUE(first_->query("select pg_reload_conf()"));
    ASSERT_TRUE(eventually([&] { return say(*first_, "select sync_state from pg_stat_replication") == "sync"; }));
  }

  std::string both() const {
    return "host=127.0.0.1,127.0.0.1 port=" + std::to_string(first_->port()) + "," + std::to_string(second_->port()) +
           " user=tern dbname=tern";
  }

  std::unique_ptr<store> shard(const std::string& dsn, const sync_rule& rule = {}) {
    auto opened = open_store_with(dsn, rule);
    EXPECT_TRUE(opened);
    return std::move(*opened);
  }

  /// A writer that has the shard, once that can be had.
  static std::unique_ptr<writer_store> writer(store& of, uint64_t epoch) {
    std::unique_ptr<writer_store> got;
    error last;
    const bool done = eventually([&] {
      auto made = of.open_writer();
      if (made) {
        auto acquired = (*made)->acquire(epoch);
        if (acquired) {
          got = std::move(*made);
          return true;
        }
        last = acquired.error();
      } else {
        last = made.error();
      }
      return false;
    });
    EXPECT_TRUE(done) << last.detail;
    return got;
  }

  static bool eventually(const std::function<bool()>& holds) {
    for (const auto end = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < end;) {
      if (holds()) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  }

  /// What psql prints; empty: it failed.
  static std::string say(postgres_server& in, const std::string& sql) {
    const auto printed = in.query(sql);
    return printed ? printed->substr(0, printed->find('\n')) : std::string();
  }
  static size_t stored(postgres_server& in) { return std::stoul("0" + say(in, "select count(*) from message")); }

  std::unique_ptr<postgres_server> first_, second_;
};

TEST_F(store_standbys, the_writer_follows_the_primary_and_one_that_comes_back_gets_nothing) {
  make_synchronous();
  auto store = shard(both());
  auto writing = writer(*store, 1);
  ASSERT_TRUE(writing);
  EXPECT_EQ(writing->term(), 1U);
  auto reader = *store->open_reader();
  std::atomic<uint64_t> acknowledged{0};
  std::thread running([&] {
    for (uint64_t mid = 1; writing->commit(chat(1, mid)); ++mid) acknowledged = mid;
  });
  while (acknowledged < 20) std::this_thread::yield();
  first_->kill_hard();
  running.join();
  ASSERT_TRUE(second_->promote());
  const auto at_first = acknowledged.load();

  auto next = writer(*store, 1);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->term(), 2U);
  const conversation_id ids[] = {talk};
  const auto head = next->load(ids)->at(0).head;
  EXPECT_GE(head, at_first);
  EXPECT_LE(head, at_first + 1) << "the last one's answer may have been on its way";
  ASSERT_TRUE(next->commit(chat(3, head + 1)));

  ASSERT_TRUE(first_->restart());  // as a primary, which it still thinks it is
  const auto left = stored(*first_);
  ASSERT_TRUE(next->commit(chat(3, head + 4)));
  EXPECT_EQ(writing->commit(chat(1, head + 99)).code(), errc::unavailable) << "read from the former primary";
  EXPECT_EQ(reader->history(history_of(talk))->rows.front().mid, head + 6) << "the reader went along";
  EXPECT_EQ(stored(*first_), left);
  EXPECT_EQ(stored(*second_), head + 6);

  second_->stop();
  auto refused = store->open_writer();
  ASSERT_TRUE(refused);
  const auto answer = (*refused)->acquire(2);
  EXPECT_EQ(answer.code(), errc::unavailable);
  EXPECT_THAT(answer.error().detail, ::testing::HasSubstr("former primary"));
  EXPECT_EQ(reader->history(history_of(talk)).code(), errc::unavailable);
  EXPECT_EQ(stored(*first_), left);
}

TEST_F(store_standbys, a_process_that_knows_nothing_learns_it_from_others) {
  auto store = shard(both());
  ASSERT_TRUE(writer(*store, 1));
  ASSERT_TRUE(eventually([&] { return say(*second_, "select term from fence") == "1"; }));
  ASSERT_TRUE(second_->promote());  // while the first goes on
  {
    auto newcomer = shard(both());
    auto taken = writer(*newcomer, 2);
    ASSERT_TRUE(taken);
    EXPECT_EQ(taken->term(), 2U);
    EXPECT_TRUE(eventually([&] { return newcomer->health().term == 2; }));
  }
  auto third = postgres_server::standby_of(*second_, "third");
  ASSERT_TRUE(third) << third.error().detail;
  ASSERT_TRUE(eventually([&] { return say(**third, "select term from fence") == "2"; }));
  second_->stop();
  // The standby's row tells of the primary that is away now.
  const auto hosts = "host=127.0.0.1,127.0.0.1 port=" + std::to_string(first_->port()) + "," +
                     std::to_string((*third)->port()) + " user=tern dbname=tern";
  EXPECT_EQ(shard(hosts)->open_writer().code(), errc::unavailable);
  // Without any such witness somebody has to say so.
  auto told = shard(first_->tcp_dsn());
  told->require_term(2);
  EXPECT_EQ(told->open_writer().code(), errc::unavailable);
  EXPECT_TRUE(shard(first_->tcp_dsn())->open_writer());
}

TEST_F(store_standbys, a_writer_leaves_a_primary_that_was_replaced_behind_its_back) {
  auto store = shard(both());
  auto writing = writer(*store, 1);
  ASSERT_TRUE(writing);
  ASSERT_TRUE(writing->commit(chat(1)));
  ASSERT_TRUE(eventually([&] { return stored(*second_) == 1; }));
  ASSERT_TRUE(second_->promote());
  uint64_t mid = 1;
  ASSERT_TRUE(eventually([&] { return !writing->commit(chat(1, ++mid)); })) << "goes on with the first";
  const auto left = stored(*first_);
  auto next = writer(*store, 1);
  ASSERT_TRUE(next);
  EXPECT_EQ(next->term(), 2U);
  ASSERT_TRUE(next->commit(chat(5, 2)));
  EXPECT_EQ(stored(*first_), left);
  EXPECT_EQ(stored(*second_), 6U);
}

TEST_F(store_standbys, without_its_standby_a_shard_refuses_in_time_and_goes_on_when_it_is_back) {
  make_synchronous();
  auto store = shard(both(), {1, false});
  auto writing = writer(*store, 1);
  ASSERT_TRUE(writing);
  ASSERT_TRUE(writing->commit(chat(1)));
  ASSERT_TRUE(eventually([&] { return store->health().copies == 1; }));
  EXPECT_TRUE(store->health().problem.empty());

  second_->stop_immediately();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(writing->commit(chat(1, 2)).code(), errc::deadline) << "under way: nobody can know";
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 4s);
  for (int i = 0; i < 3; ++i) {
    const auto again = std::chrono::steady_clock::now();
    auto made = store->open_writer();
    ASSERT_TRUE(made);
    EXPECT_EQ((*made)->acquire(1).code(), errc::unavailable);
    EXPECT_LT(std::chrono::steady_clock::now() - again, 2s);
  }
  EXPECT_EQ(store->health().copies, 0U);
  EXPECT_FALSE(store->health().problem.empty());
  EXPECT_FALSE(store->health().degraded);

  ASSERT_TRUE(second_->restart());
  auto next = writer(*store, 1);
  ASSERT_TRUE(next);
  const conversation_id ids[] = {talk};
  const auto head = next->load(ids)->at(0).head;
  EXPECT_TRUE(head == 1 || head == 2) << head;
  ASSERT_TRUE(next->commit(chat(1, head + 1)));
  EXPECT_TRUE(eventually([&] { return stored(*second_) == head + 1; })) << "it has it on disk, and shows it soon";
  EXPECT_TRUE(eventually([&] { return store->health().copies == 1 && store->health().problem.empty(); }));
}

TEST_F(store_standbys, without_its_standby_a_shard_goes_on_loudly_when_told_so) {
  make_synchronous();
  auto store = shard(both(), {1, true});
  auto writing = writer(*store, 1);
  ASSERT_TRUE(writing);
  ASSERT_TRUE(writing->commit(chat(1)));
  second_->stop_immediately();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_TRUE(writing->commit(chat(1, 2))) << "under way when it was lost";
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 4s);
  EXPECT_TRUE(store->health().degraded);
  for (uint64_t mid = 3; mid < 10; ++mid) {
    const auto done = writing->commit(chat(1, mid));
    ASSERT_TRUE(done) << done.error().detail;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 8s);
  ASSERT_TRUE(second_->restart());
  ASSERT_TRUE(eventually([&] { return !store->health().degraded; }));
  ASSERT_TRUE(writing->commit(chat(1, 10)));
  EXPECT_TRUE(eventually([&] { return stored(*second_) == 10; })) << "the last commit waited for it";
}

TEST_F(store_standbys, a_commit_that_an_operator_let_pass_without_its_standby_is_in_doubt) {
  make_synchronous();
  auto store = shard(both());  // no rule: the server's own
  auto writing = writer(*store, 1);
  ASSERT_TRUE(writing);
  ASSERT_TRUE(writing->commit(chat(1)));
  second_->stop_immediately();
  std::thread operating([&] {
    ASSERT_TRUE(eventually([&] {
      return say(*first_,
                 "select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'") == "1";
    }));
  });
  EXPECT_EQ(writing->commit(chat(1, 2)).code(), errc::deadline);
  operating.join();
}

TEST_F(store_standbys, a_rule_that_the_server_does_not_know_of_refuses) {
  auto store = shard(both(), {1, false});
  auto made = store->open_writer();
  ASSERT_TRUE(made);
  const auto answer = (*made)->acquire(1);
  EXPECT_EQ(answer.code(), errc::unavailable);
  EXPECT_THAT(answer.error().detail, ::testing::HasSubstr("synchronous_standby_names"));
}

}  // namespace
}  // namespace tern::storage

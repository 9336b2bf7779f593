// What happens to a shard when writers compete and databases die.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <thread>

#include "libs/sql/connection.hpp"
#include "services/storage/repositories/pg_writer.hpp"
#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

/// Three messages with their keys and an outbox entry; all are there or none.
write_batch chat_of_three(uint64_t mid) {
  write_batch batch;
  for (uint64_t i = 0; i < 3; ++i) {
    const conversation_id id{(i + 1) << 44U, 0};
    batch.messages.push_back(message(mid, alice, "k" + std::to_string(mid), std::string(300, 'b'), id));
    batch.conversations.push_back(conversation(mid, id));
  }
  batch.outbox.push_back(entry(mid, mid));
  return batch;
}

/// The same, and a change of a room: its version is the mid, the account of this number is its only member, and the
/// messages before are recalled.
write_batch one_of_each(uint64_t mid) {
  auto batch = chat_of_three(mid);
  batch.rooms = {room(hall, mid)};
  batch.members = {{hall, {mid}, room_member}};
  batch.account_rooms = {{alice, hall, mid, room_member, mid, 0}};
  for (uint64_t i = 0; i < 3 && mid > 1; ++i) batch.recalled.push_back({{(i + 1) << 44U, 0}, mid - 1});
  if (mid > 1) batch.members.push_back({hall, {mid - 1}, room_none});
  return batch;
}

/// How many of the batch's three messages are there.
size_t found_of(writer_store& writer, uint64_t mid) {
  std::vector<message_key> keys;
  for (uint64_t i = 0; i < 3; ++i) keys.push_back({{(i + 1) << 44U, 0}, alice, "k" + std::to_string(mid)});
  auto found = writer.find_keys(keys);
  EXPECT_TRUE(found) << found.error().detail;
  return found ? found->size() : 99;
}

/// What the last commit changed in the room is all there and nothing of a later one.
void expect_room_of(store& shard, writer_store& writer, uint64_t mid) {
  auto reader = *shard.open_reader();
  EXPECT_EQ((*reader->room(hall))->first.version, mid);
  auto members = reader->members(hall, room_member, 10);
  ASSERT_TRUE(members) << members.error().detail;
  ASSERT_EQ(members->size(), 1U);
  EXPECT_EQ(members->front().account.value, mid);
  EXPECT_EQ(reader->rooms_of(alice)->at(0).version, mid);
  for (uint64_t i = 0; i < 3; ++i) {
    const message_place places[] = {{{(i + 1) << 44U, 0}, mid}, {{(i + 1) << 44U, 0}, mid - 1}};
    const auto rows = writer.load_messages(places);
    ASSERT_TRUE(rows) << rows.error().detail;
    EXPECT_EQ(rows->size(), 2U);
    for (const auto& row : *rows) EXPECT_EQ(row.tombstone, row.mid == mid - 1);
  }
}

class store_rivals : public store_test {
 protected:
  void expect_fenced(uint64_t epoch, std::unique_ptr<writer_store> commits, errc refused);
};
INSTANTIATE_TEST_SUITE_P(all, store_rivals, ::testing::Values("memory", "sqlite", "pg"),
                         [](const auto& param) { return param.param; });

/// `commits` until the writer of `epoch` is there: what it then finds stays.
void store_rivals::expect_fenced(uint64_t epoch, std::unique_ptr<writer_store> commits, errc refused) {
  std::atomic<uint64_t> acknowledged{0};
  std::thread running([&] {
    for (uint64_t mid = epoch * 100'000 + 1;; ++mid) {
      auto done = commits->commit(one_of_each(mid));
      if (!done) {
        EXPECT_EQ(done.code(), refused) << done.error().detail;
        return;
      }
      acknowledged = mid;
    }
  });
  while (acknowledged == 0) std::this_thread::yield();
  writer_ = writer(epoch);
  const conversation_id ids[] = {{uint64_t{1} << 44U, 0}};
  const auto head = writer_->load(ids)->at(0).head;
  running.join();
  EXPECT_EQ(writer_->load(ids)->at(0).head, head);
  EXPECT_GE(head, acknowledged);  // the last answer may have been on its way
  EXPECT_LE(head, acknowledged + 1);
}

TEST_P(store_rivals, nothing_of_the_old_writer_comes_after_the_new_ones_acquire) {
  for (uint64_t epoch = 2; epoch < 8; ++epoch) expect_fenced(epoch, std::move(writer_), errc::stale_epoch);
}

TEST_P(store_rivals, nothing_of_the_commits_beside_the_old_writer_comes_either) {
  for (uint64_t epoch = 2; epoch < 8; ++epoch) {
    auto beside = writer_->beside();
    ASSERT_EQ(beside == nullptr, GetParam() == "sqlite");
    if (!beside) return;
    expect_fenced(epoch, std::move(beside), errc::unavailable);
  }
}

/// A message in a slot of its own, and the relation of its pair.
write_batch in_slot(uint64_t slot, uint64_t mid) {
  const conversation_id id{slot << 44U, 1};
  write_batch batch;
  batch.messages.push_back(message(mid, alice, "k" + std::to_string(mid), "b", id));
  batch.conversations.push_back(conversation(mid, id));
  batch.conversations.back().relation_version = mid / 10;
  batch.outbox.push_back(entry(2 * mid + slot % 2, mid));
  batch.outbox.back().conversation = id;
  return batch;
}

TEST_P(store_rivals, two_commits_at_once_are_both_whole) {
  constexpr uint64_t each = 300;
  auto beside = writer_->beside();
  ASSERT_EQ(beside == nullptr, GetParam() == "sqlite");
  if (!beside) return;
  std::thread other([&] {
    for (uint64_t mid = 1; mid <= each; ++mid) {
      auto done = beside->commit(in_slot(7, mid));
      ASSERT_TRUE(done) << done.error().detail;
    }
  });
  for (uint64_t mid = 1; mid <= each; ++mid) commit(in_slot(8, mid));
  other.join();
  for (const uint64_t slot : {7, 8}) {
    const conversation_id ids[] = {{slot << 44U, 1}};
    const auto rows = writer_->load(ids);
    ASSERT_EQ(rows->size(), 1U);
    EXPECT_EQ(rows->front().head, each);
    EXPECT_EQ(rows->front().relation_version, each / 10);
  }
  EXPECT_EQ(writer_->scan_outbox(0, 10'000)->size(), 2 * each);
  // What one of them wrote the other may change later.
  commit(in_slot(7, each + 1));
  EXPECT_TRUE(beside->commit(in_slot(8, each + 1)));
}

TEST_P(store_rivals, one_of_two_takers_gets_a_token) {
  for (int round = 0; round < 10; ++round) {
    write_batch issue, take;
    token_row& token = issue.tokens.emplace_back();
    token.hash.assign(32, static_cast<char>(round));
    token.account = alice;
    token.expires_ns = 100;
    take.tokens_taken = issue.tokens;
    writer_ = writer(1);
    commit(issue);
    std::atomic<int> taken{0};
    const auto taker = [&] {
      auto mine = store_->open_writer();
      ASSERT_TRUE(mine);
      while (true) {
        ASSERT_TRUE((*mine)->acquire(1));
        auto done = (*mine)->commit(take);
        if (done.code() == errc::stale_epoch) continue;  // the other one came between
        ASSERT_TRUE(done) << done.error().detail;
        taken += done->token_taken.at(0) ? 1 : 0;
        return;
      }
    };
    std::thread one(taker), two(taker);
    one.join();
    two.join();
    EXPECT_EQ(taken, 1);
  }
}

TEST(store_sqlite_faults, every_acknowledged_commit_survives_kill_9) {
  testing::temp_dir directory;
  const auto dsn = "sqlite:" + directory.file("shard.db");
  uint64_t first = 1;
  for (int round = 0; round < 3; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto shard = open_store(dsn);
      auto writer = (*shard)->open_writer();
      if (!writer || !(*writer)->acquire(1)) ::_exit(1);
      for (uint64_t mid = first;; ++mid) {
        if (!(*writer)->commit(one_of_each(mid))) ::_exit(2);
        if (::write(ends[1], &mid, sizeof mid) != sizeof mid) ::_exit(3);
      }
    }
    ::close(ends[1]);
    uint64_t acknowledged = 0;
    for (uint64_t mid = 0; acknowledged < first + 50 && ::read(ends[0], &mid, sizeof mid) == sizeof mid;)
      acknowledged = mid;
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ::waitpid(child, nullptr, 0);
    for (uint64_t mid = 0; ::read(ends[0], &mid, sizeof mid) == sizeof mid;) acknowledged = mid;
    ::close(ends[0]);
    ASSERT_GE(acknowledged, first);
    auto shard = *open_store(dsn);
    auto writer = *shard->open_writer();
    ASSERT_TRUE(writer->acquire(1));
    for (uint64_t mid = first; mid <= acknowledged; ++mid) ASSERT_EQ(found_of(*writer, mid), 3U) << mid;
    const auto unknown = found_of(*writer, acknowledged + 1);
    EXPECT_TRUE(unknown == 0 || unknown == 3) << unknown;
    EXPECT_EQ(writer->scan_outbox(0, 1'000'000)->size(), acknowledged + (unknown == 3 ? 1 : 0));
    const auto last = acknowledged + (unknown == 3 ? 1 : 0);
    expect_room_of(*shard, *writer, last);
    first = last + 1;
  }
}

class store_pg_faults : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = testing::postgres_server::start();
    ASSERT_TRUE(started) << started.error().detail;
    server_ = std::move(*started);
    auto opened = open_store(server_->dsn());
    ASSERT_TRUE(opened);
    store_ = std::move(*opened);
    ASSERT_TRUE(store_->migrate());
    sql::pg_link_options brief;
    brief.answer_timeout = std::chrono::milliseconds(500);
    writer_ = std::make_unique<pg_writer>(server_->dsn(), brief);
    ASSERT_TRUE(writer_->acquire(1));
  }

  /// Commits until something fails; the mid that failed and how.
  std::pair<uint64_t, errc> commit_from(uint64_t mid, std::atomic<uint64_t>& acknowledged) {
    for (;; ++mid) {
      auto done = writer_->commit(one_of_each(mid));
      if (!done) return {mid, done.code()};
      acknowledged = mid;
    }
  }

  std::unique_ptr<testing::postgres_server> server_;
  std::unique_ptr<store> store_;
  std::unique_ptr<pg_writer> writer_;
};

TEST_F(store_pg_faults, every_acknowledged_commit_survives_the_death_of_the_server) {
  uint64_t first = 1;
  for (int round = 0; round < 4; ++round) {
    std::atomic<uint64_t> acknowledged{0};
    std::pair<uint64_t, errc> failed;
    std::thread running([&] { failed = commit_from(first, acknowledged); });
    while (acknowledged < first + 30) std::this_thread::yield();
    round % 2 == 0 ? server_->kill_hard() : server_->stop_immediately();
    running.join();
    EXPECT_TRUE(failed.second == errc::deadline || failed.second == errc::unavailable) << to_string(failed.second);
    EXPECT_EQ(writer_->commit(one_of_each(failed.first)).code(), errc::unavailable);
    EXPECT_EQ(writer_->find_keys({}).code(), errc::unavailable);
    ASSERT_TRUE(server_->restart());
    for (uint64_t mid = first; mid <= acknowledged; ++mid) ASSERT_EQ(found_of(*writer_, mid), 3U) << mid;
    const auto unknown = found_of(*writer_, failed.first);
    if (failed.second == errc::unavailable) {
      EXPECT_EQ(unknown, 0U);
    } else {
      EXPECT_TRUE(unknown == 0 || unknown == 3) << unknown;
    }
    first = failed.first + (unknown == 3 ? 1 : 0);
    EXPECT_EQ(writer_->scan_outbox(0, 1'000'000)->size(), first - 1);
    expect_room_of(*store_, *writer_, first - 1);
  }
}

TEST_F(store_pg_faults, a_writer_that_lost_its_connection_proves_the_fence_first) {
  ASSERT_TRUE(writer_->commit(one_of_each(1)));
  server_->kill_hard();
  EXPECT_EQ(writer_->commit(one_of_each(2)).code(), errc::unavailable);
  ASSERT_TRUE(server_->restart());
  auto rival = store_->open_writer();
  ASSERT_TRUE(rival);
  ASSERT_TRUE((*rival)->acquire(2));
  EXPECT_EQ(writer_->find_keys({}).code(), errc::stale_epoch);
  EXPECT_EQ(writer_->commit(one_of_each(2)).code(), errc::stale_epoch);
  EXPECT_TRUE((*rival)->commit(one_of_each(2)));
}

TEST_F(store_pg_faults, a_commit_given_up_does_not_appear_after_the_writer_has_looked) {
  for (uint64_t mid = 1; mid <= 5; ++mid) {
    server_->pause();
    EXPECT_EQ(writer_->commit(one_of_each(mid)).code(), errc::deadline);
    server_->resume();
    // The commit may still be under way at the server. Once this is answered, its fate is sealed.
    const auto found = found_of(*writer_, mid);
    ASSERT_TRUE(found == 0 || found == 3) << found;
    if (found == 0) {
      ASSERT_TRUE(writer_->commit(one_of_each(mid)));
    }
    EXPECT_EQ(found_of(*writer_, mid), 3U);
    EXPECT_EQ(writer_->scan_outbox(0, 100)->size(), mid);
  }
}

TEST_F(store_pg_faults, a_reader_finds_the_server_again) {
  ASSERT_TRUE(writer_->commit(one_of_each(1)));
  auto reader = *store_->open_reader();
  EXPECT_TRUE(reader->account(alice));
  server_->kill_hard();
  EXPECT_EQ(reader->account(alice).code(), errc::unavailable);
  ASSERT_TRUE(server_->restart());
  EXPECT_TRUE(reader->account(alice));
}

TEST_F(store_pg_faults, chat_is_one_statement_per_commit) {
  ASSERT_TRUE(writer_->commit(chat_of_three(1)));
  const auto before = writer_->statements();
  auto batch = chat_of_three(2);
  batch.outbox_done = {1};
  ASSERT_TRUE(writer_->commit(batch));
  EXPECT_EQ(writer_->statements() - before, 1U);
}

TEST_F(store_pg_faults, a_message_to_a_room_is_one_statement_and_one_row) {
  auto creation = talk_in(hall, 1);
  creation.rooms = {room(hall)};
  ASSERT_TRUE(writer_->commit(creation));
  auto admin = *sql::open(server_->dsn());
  const auto rows = [&] {
    return sql::as_int(admin
                           ->query("select (select count(*) from message) * 1000 + (select count(*) from outbox)"
                                   " + (select count(*) from cursor)",
                                   {})
                           ->front()[0]);
  };
  const auto row_version = [&] {  // changes with each write of the row
    return sql::as_int(admin->query("select xmin::text::bigint from conversation where conv_lo = 0", {})->front()[0]);
  };
  const auto stored = rows();
  const auto conversation_written = row_version();
  const auto before = writer_->statements();
  auto batch = talk_in(hall, 2, 2);
  batch.messages[1].unlisted = true;
  ASSERT_TRUE(writer_->commit(batch));
  EXPECT_EQ(writer_->statements() - before, 1U);
  EXPECT_EQ(rows() - stored, 2000);
  EXPECT_EQ(row_version(), conversation_written);
}

TEST_F(store_pg_faults, a_store_of_an_absent_server_says_unavailable_and_works_later) {
  server_->kill_hard();
  auto shard = open_store(server_->dsn());
  ASSERT_TRUE(shard);
  EXPECT_EQ((*shard)->open_writer().code(), errc::unavailable);
  EXPECT_EQ((*shard)->migrate().code(), errc::unavailable);
  ASSERT_TRUE(server_->restart());
  EXPECT_TRUE((*shard)->open_writer());
}

TEST(store_migrations, concurrent_starts_make_one_schema_and_a_newer_one_is_refused) {
  const auto dsn = fresh_database();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      auto shard = open_store(dsn);
      auto done = (*shard)->migrate();
      EXPECT_TRUE(done) << done.error().detail;
    });
  }
  for (auto& thread : threads) thread.join();
  auto admin = sql::open(dsn);
  ASSERT_TRUE(admin);
  ASSERT_TRUE((*admin)->query("insert into schema_migration values (9999, '9999_future', 'x')"));
  auto shard = open_store(dsn);
  EXPECT_EQ((*shard)->migrate().code(), errc::config);
  EXPECT_EQ((*shard)->open_writer().code(), errc::config);
}

TEST(store_dsn, what_is_no_database_is_refused) {
  EXPECT_EQ(open_store("").code(), errc::config);
  testing::temp_dir directory;
  auto shard = open_store("sqlite:" + directory.path().string());
  ASSERT_TRUE(shard);
  EXPECT_FALSE((*shard)->migrate());
}

}  // namespace
}  // namespace tern::storage

// A shard that the previous release filled is opened by this one.
#include <gmock/gmock.h>

#include "libs/sql/migrations.hpp"
#include "migrations/storage_pg_migrations.hpp"
#include "migrations/storage_sqlite_migrations.hpp"
#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using ::testing::ElementsAre;

/// Rows as migration 0001 knows them. PostgreSQL writes bytes as '\x…', SQLite as x'…'.
std::string old_rows(bool pg, uint64_t mid) {
  const auto bytes = [&](const std::string& hex) { return pg ? "'\\x" + hex + "'" : "x'" + hex + "'"; };
  const auto number = [](uint64_t id) { return std::to_string(static_cast<int64_t>(id)); };
  const auto slot = [](auto id) { return std::to_string(slot_of(id)); };
  const auto place = slot(talk) + "," + number(talk.hi) + "," + number(talk.lo);
  const auto n = std::to_string(mid);
  return "insert into message (slot, conv_hi, conv_lo, mid, sender, send_key, timestamp_ns, body) values (" + place +
         "," + n + "," + number(alice.value) + "," + bytes("6b3" + n) + "," + n + "000," + bytes("626f6479") +
         ");insert into outbox (entry, slot, conv_hi, conv_lo, recipient, kind, mid, payload, accepted_ns) values (" +
         n + "," + place + "," + number(bob.value) + ",1," + n + "," + bytes("") + ",5);";
}

std::string old_account_and_pair(bool pg) {
  const std::string key = pg ? "'\\x6b'" : "x'6b'";
  const auto number = [](uint64_t id) { return std::to_string(static_cast<int64_t>(id)); };
  return "insert into account (slot, id, name_key, domain, password_hash, created_ns) values (" +
         std::to_string(slot_of(alice)) + "," + number(alice.value) + "," + key +
         ",'dom','phc',11);insert into conversation (slot, conv_hi, conv_lo, a, b, head, a_bits, b_bits,"
         " relation_version) values (" +
         std::to_string(slot_of(talk)) + "," + number(talk.hi) + "," + number(talk.lo) + "," + number(bob.value) +
         "," + number(alice.value) + ",2,2,6,3);";
}

class store_upgrades : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    pg_ = GetParam() == "pg";
    dsn_ = pg_ ? fresh_database() : "sqlite:" + directory_.file("shard.db");
    auto opened = sql::open(dsn_);
    ASSERT_TRUE(opened) << opened.error().detail;
    old_ = std::move(*opened);
    const auto all = pg_ ? sql::storage_pg_migrations() : sql::storage_sqlite_migrations();
    ASSERT_EQ(all.front().version, 1);
    ASSERT_TRUE(sql::migrate(*old_, all.first(1)));
    run(old_account_and_pair(pg_) + old_rows(pg_, 1) + old_rows(pg_, 2));
  }
  void run(const std::string& script) {
    auto done = old_->script(script);
    ASSERT_TRUE(done) << done.error().detail;
  }

  bool pg_ = false;
  testing::temp_dir directory_;
  std::string dsn_;
  std::unique_ptr<sql::connection> old_;
};
INSTANTIATE_TEST_SUITE_P(all, store_upgrades, ::testing::Values("sqlite", "pg"),
                         [](const auto& param) { return param.param; });

TEST_P(store_upgrades, everything_stored_is_there_afterwards) {
  auto shard = *open_store(dsn_);
  auto writer = shard->open_writer();
  ASSERT_TRUE(writer) << writer.error().detail;
  ASSERT_TRUE((*writer)->acquire(1));
  auto reader = *shard->open_reader();
  auto query = history_of(talk);
  query.listed_only = true;
  const auto page = *reader->history(query);
  EXPECT_THAT(mids(page), ElementsAre(2, 1));
  EXPECT_EQ(page.rows[0].body, "body");
  EXPECT_FALSE(page.rows[0].unlisted);
  EXPECT_EQ(page.rows[0].target, 0U);
  EXPECT_EQ(page.conversation->head, 2U);
  const message_key keys[] = {{talk, alice, "k1"}};
  EXPECT_EQ((*writer)->find_keys(keys)->at(0).mid, 1U);
  EXPECT_EQ((*writer)->scan_outbox(0, 10)->size(), 2U);
  EXPECT_EQ((*reader->account(alice))->password_hash, "phc");
  const account_id ids[] = {alice};
  EXPECT_TRUE(reader->profiles(ids)->at(0).bean.empty());
  EXPECT_TRUE(reader->rooms_of(alice)->empty());

  write_batch batch;
  batch.messages = {message(3)};
  batch.recalled = {{talk, 1}};
  batch.rooms = {room(hall)};
  ASSERT_TRUE((*writer)->commit(batch));
  EXPECT_THAT(mids(*reader->history(history_of(talk))), ElementsAre(3, 2));
  EXPECT_TRUE(*reader->room(hall));
}

TEST_P(store_upgrades, a_store_that_is_opened_ahead_waits_for_the_owners_migrations) {
  auto ahead = std::move(*open_store(dsn_));
  EXPECT_FALSE(*ahead->prepare());
  EXPECT_FALSE(*ahead->prepare());
  ASSERT_TRUE((*open_store(dsn_))->migrate());
  EXPECT_EQ(*ahead->prepare(), pg_);
  auto writer = *ahead->open_writer();
  EXPECT_TRUE(writer->acquire(9));
}

TEST_P(store_upgrades, the_previous_release_can_still_write) {
  ASSERT_TRUE((*open_store(dsn_))->migrate());
  run(old_rows(pg_, 3));
  auto reader = *(*open_store(dsn_))->open_reader();
  auto query = history_of(talk);
  query.listed_only = true;
  EXPECT_THAT(mids(*reader->history(query)), ElementsAre(3, 2, 1));
}

}  // namespace
}  // namespace tern::storage

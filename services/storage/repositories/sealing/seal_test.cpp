// What a database administrator sees, and what becomes of rows that were changed behind our back.
#include <gmock/gmock.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "libs/sql/connection.hpp"
#include "services/storage/repositories/sealing/row_cipher.hpp"
#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* marks[] = {"MARK-body", "MARK-profile", "MARK-room", "MARK-notice", "MARK-outbox"};

class sealed_store : public store_test {
 protected:
  void SetUp() override {
    how_.refused = [this](const std::string& place) { refused_.push_back(place); };
    store_test::SetUp();
  }

  /// A row of each kind with its mark inside.
  static write_batch marked() {
    auto batch = chat(3);
    for (auto& row : batch.messages) row.body = std::string(300, '.') + marks[0] + std::to_string(row.mid);
    outbox_row told{50, bob, talk, outbox_kind::relation, 0, std::string("\x0A") + marks[4], 5};
    batch.outbox.push_back(told);
    batch.accounts = {{alice, std::string(32, 'k'), "dom", "phc", 1}, {bob, std::string(32, 'l'), "dom", "phc", 1}};
    batch.profiles = {{alice, {}, 0, marks[1]}, {bob, {}, 0, "of bob"}};
    batch.notices = {{bob, 7, marks[3]}, {bob, 8, "another notice"}};
    auto first = room(hall), second = room(den);
    first.bean = marks[2];
    second.bean = "of the den";
    batch.rooms = {first, second};
    return batch;
  }

  void sql(const std::string& script) {
    auto database = sql::open(dsn_);
    ASSERT_TRUE(database) << database.error().detail;
    auto done = (*database)->script(script);
    ASSERT_TRUE(done) << done.error().detail;
  }
  /// The values of `column` of two rows change places.
  void swap(const std::string& table, const std::string& column, const std::string& one, const std::string& other) {
    sql("create table held as select " + column + " as v from " + table + " where " + one + "; update " + table +
        " set " + column + " = (select " + column + " from " + table + " where " + other + ") where " + one +
        "; update " + table + " set " + column + " = (select v from held) where " + other + "; drop table held;");
  }

  std::vector<std::string> refused_;
};
INSTANTIATE_TEST_SUITE_P(all, sealed_store, ::testing::Values("sqlite", "pg"),
                         [](const auto& param) { return param.param; });

std::string all_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string dump(const std::string& dsn) {
  const auto command = testing::postgres_program("pg_dump") + " --inserts '" + dsn + "' 2>&1";
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  char buffer[65536];
  for (size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, got);
  EXPECT_EQ(::pclose(pipe), 0) << out.substr(0, 500);
  return out;
}

std::string hex(std::string_view text) {
  std::string out;
  for (const unsigned char c : text) {
    out += "0123456789abcdef"[c >> 4U];
    out += "0123456789abcdef"[c & 15U];
  }
  return out;
}

TEST_P(sealed_store, files_and_dumps_show_nothing_that_people_wrote) {
  const bool pg = GetParam() == "pg";
  const auto text = [&] {
    if (pg) return dump(dsn_);
    return all_of(directory_.file("shard.db")) + all_of(directory_.file("shard.db-wal"));
  };
  const auto shown = [&](std::string_view mark) { return pg ? hex(mark) : std::string(mark); };
  // That the search finds what is there: the same rows, not sealed.
  const auto plain_dsn = pg ? fresh_database() : "sqlite:" + directory_.file("plain.db");
  {
    auto plain = *open_store(plain_dsn);
    auto plain_writer = *plain->open_writer();
    ASSERT_TRUE(plain_writer->acquire(1));
    ASSERT_TRUE(plain_writer->commit(marked()));
    const auto open =
        pg ? dump(plain_dsn) : all_of(directory_.file("plain.db")) + all_of(directory_.file("plain.db-wal"));
    for (const auto* mark : marks) EXPECT_THAT(open, HasSubstr(shown(mark)));
  }
  commit(marked());
  const auto sealed = text();
  ASSERT_THAT(sealed, HasSubstr(shown(std::string(32, 'k'))));  // of the account: the dump is one
  for (const auto* mark : marks) EXPECT_THAT(sealed, Not(HasSubstr(shown(mark))));
  EXPECT_THAT(sealed, Not(HasSubstr(shown(secret_one))));
  EXPECT_THAT(sealed, Not(HasSubstr("of the den")));
}

TEST_P(sealed_store, everything_is_read_back) {
  commit(marked());
  reopen();
  const auto page = *reader_->history(history_of(talk));
  ASSERT_THAT(mids(page), ElementsAre(3, 2, 1));
  EXPECT_THAT(page.rows[0].body, HasSubstr("MARK-body3"));
  const account_id ids[] = {alice};
  EXPECT_EQ(reader_->profiles(ids)->at(0).bean, marks[1]);
  EXPECT_EQ((*reader_->room(hall))->first.bean, marks[2]);
  EXPECT_EQ(reader_->waiting(bob, 10)->notices.at(0).body, marks[3]);
  const auto entries = *writer_->scan_outbox(0, 100);
  ASSERT_THAT(entries, SizeIs(4));
  EXPECT_EQ(entries.back().row.payload, std::string("\x0A") + marks[4]);
  EXPECT_THAT(entries.front().message->body, HasSubstr("MARK-body1"));
  EXPECT_TRUE(refused_.empty());
}

TEST_P(sealed_store, bodies_that_changed_places_are_refused_and_the_others_are_served) {
  commit(marked());
  swap("message", "body", "mid = 1", "mid = 2");
  const auto page = *reader_->history(history_of(talk));
  EXPECT_THAT(mids(page), ElementsAre(3));
  EXPECT_EQ(page.conversation->head, 3U);
  ASSERT_THAT(refused_, SizeIs(2));
  EXPECT_THAT(refused_[0], HasSubstr("message f000000000000001"));

  auto only_bad = history_of(talk);
  only_bad.from_mid = 2;
  const auto answer = reader_->history(only_bad);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.code(), errc::database);
  EXPECT_THAT(answer.error().detail, Not(HasSubstr("key")));

  auto drain = history_of(talk);
  drain.newest_first = false;
  drain.limit = 2;
  const auto rest = *reader_->history(drain);
  EXPECT_TRUE(rest.rows.empty());
  EXPECT_EQ(rest.reached, 2U) << "who was away must not be stuck";
}

TEST_P(sealed_store, a_refused_entry_stays_in_the_outbox_and_does_not_stop_the_others) {
  commit(marked());
  swap("message", "body", "mid = 1", "mid = 2");
  const auto entries = *writer_->scan_outbox(0, 2);
  ASSERT_THAT(entries, SizeIs(2));
  EXPECT_EQ(entries[0].row.entry, 3U);
  EXPECT_EQ(entries[1].row.entry, 50U);
}

TEST_P(sealed_store, rooms_profiles_and_notices_that_changed_places_are_refused) {
  commit(marked());
  const auto id = [](auto of) { return "id = " + std::to_string(static_cast<int64_t>(of.value)); };
  swap("room", "bean", id(hall), id(den));
  swap("account", "profile", id(alice), id(bob));
  swap("notice", "body", "id = 7", "id = 8");
  EXPECT_EQ(reader_->room(hall).code(), errc::database);
  const room_id rooms[] = {hall};
  EXPECT_EQ(writer_->load_rooms(rooms).code(), errc::database);
  const account_id ids[] = {alice};
  EXPECT_EQ(reader_->profiles(ids).code(), errc::database);
  EXPECT_EQ(writer_->load_profiles(ids).code(), errc::database);
  EXPECT_TRUE(reader_->waiting(bob, 10)->notices.empty());
  EXPECT_THAT(refused_, SizeIs(6));
}

TEST_P(sealed_store, a_sender_or_time_that_was_changed_is_noticed) {
  commit(marked());
  sql("update message set sender = sender + 1 where mid = 1; update message set timestamp_ns = 1 where mid = 2");
  EXPECT_THAT(mids(*reader_->history(history_of(talk))), ElementsAre(3));
}

TEST_P(sealed_store, cut_and_foreign_values_are_refused) {
  commit(marked());
  const std::string quote = GetParam() == "pg" ? "'\\x" : "x'";
  sql("update message set body = substr(body, 1, 60) where mid = 1; update message set body = " + quote +
      "8f' where mid = 2; update message set body = " + quote + "8f" + std::string(100, '0') + "' where mid = 3");
  EXPECT_EQ(reader_->history(history_of(talk)).code(), errc::database);
  EXPECT_THAT(refused_, SizeIs(3));
  write_batch recall;
  recall.recalled = {{talk, 1}};
  commit(recall);  // what cannot be read can be recalled
  const message_place places[] = {{talk, 1}};
  EXPECT_TRUE(writer_->load_messages(places)->at(0).tombstone);
}

TEST_P(sealed_store, rows_of_before_are_read_unless_they_are_to_be_refused) {
  {
    auto plain = *open_store(dsn_);
    auto plain_writer = *plain->open_writer();
    ASSERT_TRUE(plain_writer->acquire(2));
    ASSERT_TRUE(plain_writer->commit(chat(2)));
  }
  EXPECT_THAT(mids(*reader_->history(history_of(talk))), ElementsAre(2, 1));
  how_.refuse_plain = true;
  auto strict = *open_sealed_store(dsn_, how_);
  EXPECT_EQ((*strict->open_reader())->history(history_of(talk)).code(), errc::database);
  EXPECT_THAT(refused_, SizeIs(2));
}

TEST_P(sealed_store, another_key_file_is_refused_with_the_reason) {
  commit(marked());
  const sealing other{.keys = keys_of({secret_two}), .refused = {}};
  const auto checked = check_keys(dsn_, other);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.code(), errc::config);
  EXPECT_THAT(checked.error().detail, HasSubstr("not among the files given"));
  EXPECT_EQ((*open_sealed_store(dsn_, other))->open_reader().code(), errc::config);
  EXPECT_EQ(check_keys(dsn_, {.keys = nullptr, .seal_new = false, .refused = {}}).code(), errc::config);
  EXPECT_TRUE(check_keys(dsn_, {.keys = keys_of({secret_two, secret_one}), .refused = {}}));
}

TEST_P(sealed_store, a_wrapped_key_under_another_id_is_refused) {
  sql("update data_key set id = id + 1");
  EXPECT_THAT(check_keys(dsn_, how_).error().detail, HasSubstr("its row was changed"));
}

TEST_P(sealed_store, a_new_data_key_seals_new_rows_and_readers_learn_of_it) {
  commit(marked());
  EXPECT_THAT(mids(*reader_->history(history_of(talk))), SizeIs(3));
  key_ring elsewhere(dsn_, how_);
  ASSERT_TRUE(elsewhere.load());
  ASSERT_TRUE(elsewhere.renew());
  ASSERT_THAT(elsewhere.ids(), SizeIs(2));
  auto writes_with_it = *open_sealed_store(dsn_, how_);
  auto next = *writes_with_it->open_writer();
  ASSERT_TRUE(next->acquire(3));
  ASSERT_TRUE(next->commit(chat(2, 4)));
  EXPECT_THAT(mids(*reader_->history(history_of(talk))), ElementsAre(5, 4, 3, 2, 1)) << "opened before the new key";
}

TEST_P(sealed_store, another_key_encryption_key_wraps_without_touching_rows) {
  commit(marked());
  how_.keys = keys_of({secret_one, secret_two});
  reopen();
  EXPECT_THAT(mids(*reader_->history(history_of(talk))), SizeIs(3));
  key_ring ring(dsn_, {.keys = keys_of({secret_two, secret_one}), .refused = {}});
  ASSERT_TRUE(ring.load());
  EXPECT_EQ(*ring.rewrap(), 0U) << "done when it was loaded";
  how_.keys = keys_of({secret_two});
  reopen();
  EXPECT_THAT(mids(*reader_->history(history_of(talk))), SizeIs(3));
  EXPECT_FALSE(check_keys(dsn_, {.keys = keys_of({secret_one}), .refused = {}}));
}

TEST_P(sealed_store, two_stores_that_open_a_new_shard_at_once_agree_on_one_key) {
  key_ring one(dsn_, how_), other(dsn_, how_);
  ASSERT_TRUE(one.load());
  ASSERT_TRUE(other.load());
  EXPECT_EQ(one.current()->id, other.current()->id);
}

TEST(key_encryption_keys, short_ones_are_refused) {
  EXPECT_EQ(master_keys::make({"short"}).code(), errc::config);
  EXPECT_EQ(master_keys::make({}).code(), errc::config);
}

}  // namespace
}  // namespace tern::storage

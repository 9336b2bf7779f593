// A log that is moved by a thread of its own: it stays short, and nothing committed is lost, whoever reads or dies.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>

#include "libs/sql/sqlite.hpp"
#include "libs/testing/temp_dir.hpp"

namespace tern::sql {
namespace {

constexpr int few_pages = 40;
constexpr uintmax_t page_bytes = 4096 + 24;  // in the log

class beside : public ::testing::Test {
 protected:
  std::unique_ptr<sqlite_connection> open(bool writer) {
    sqlite_options how;
    how.checkpoint_pages = few_pages;
    how.checkpoint_beside = writer;
    auto made = sqlite_connection::open(path, how);
    EXPECT_TRUE(made) << made.error().detail;
    return made ? std::move(*made) : nullptr;
  }
  static void make_table(sqlite_connection& at) {
    ASSERT_TRUE(at.script("create table row (id integer primary key, text blob not null)"));
  }
  static bool insert(sqlite_connection& at, int64_t id) {
    return at.begin() && at.query("insert into row values (?, ?)", {id, blob{std::string(3000, 'x')}}) && at.commit();
  }
  static int64_t number(sqlite_connection& at, const std::string& query) {
    const auto rows = at.query(query, {});
    return rows && !rows->empty() ? as_int(rows->front()[0]) : -1;
  }
  uintmax_t log_bytes() const { return std::filesystem::file_size(path + "-wal"); }

  testing::temp_dir directory;
  const std::string path = directory.file("shard.db");
};

TEST_F(beside, the_log_of_a_writer_without_a_pause_stays_short) {
  auto writer = open(true);
  make_table(*writer);
  for (int64_t id = 1; id <= 1500; ++id) ASSERT_TRUE(insert(*writer, id));
  EXPECT_GT(writer->checkpoints_beside(), 0U);
  EXPECT_LT(log_bytes(), 16 * few_pages * page_bytes) << "of " << 1500 * 2 * page_bytes << " written";
  const auto reader = open(false);
  EXPECT_EQ(number(*reader, "select count(*) from row"), 1500);
}

TEST_F(beside, a_reader_keeps_what_it_sees_and_the_log_is_short_again_after_it) {
  auto writer = open(true);
  make_table(*writer);
  ASSERT_TRUE(insert(*writer, 1));
  const auto reader = open(false);
  ASSERT_TRUE(reader->script("begin"));
  EXPECT_EQ(number(*reader, "select count(*) from row"), 1);
  int64_t id = 2;
  while (writer->checkpoints_beside() < 2) ASSERT_TRUE(insert(*writer, id++));
  EXPECT_EQ(number(*reader, "select count(*) from row"), 1) << "its snapshot";
  ASSERT_TRUE(reader->script("commit"));
  EXPECT_EQ(number(*reader, "select count(*) from row"), id - 1);
  const auto before = writer->checkpoints_beside();
  while (writer->checkpoints_beside() < before + 3) ASSERT_TRUE(insert(*writer, id++));
  const auto bytes = log_bytes();
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(insert(*writer, id++));
  EXPECT_LE(log_bytes(), std::max<uintmax_t>(bytes, 16 * few_pages * page_bytes)) << "it is used anew";
  EXPECT_EQ(number(*reader, "select count(*) from row"), id - 1);
}

TEST_F(beside, a_connection_that_is_opened_again_goes_on) {
  auto writer = open(true);
  make_table(*writer);
  int64_t id = 1;
  for (uint64_t round = 1; round <= 2; ++round) {
    const auto before = writer->checkpoints_beside();
    while (writer->checkpoints_beside() == before) ASSERT_TRUE(insert(*writer, id++));
    ASSERT_TRUE(writer->reopen());
  }
  EXPECT_EQ(number(*writer, "select count(*) from row"), id - 1);
}

TEST_F(beside, without_it_no_thread_is_made) {
  const auto writer = open(false);
  make_table(*writer);
  for (int64_t id = 1; id <= 100; ++id) ASSERT_TRUE(insert(*writer, id));
  EXPECT_EQ(writer->checkpoints_beside(), 0U);
}

TEST_F(beside, what_a_killed_writer_has_committed_is_there) {
  make_table(*open(false));
  for (int64_t round = 0; round < 3; ++round) {
    std::array<int, 2> told{};
    ASSERT_EQ(::pipe(told.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto writer = open(true);
      for (int64_t id = round * 100'000;; ++id) {
        if (!insert(*writer, id) || ::write(told[1], &id, sizeof(id)) != sizeof(id)) ::_exit(1);
      }
    }
    ::close(told[1]);
    int64_t last = -1;
    for (int i = 0; i < 150 + 37 * round; ++i) ASSERT_EQ(::read(told[0], &last, sizeof(last)), sizeof(last));
    ::kill(child, SIGKILL);
    for (int64_t more = 0; ::read(told[0], &more, sizeof(more)) == sizeof(more);) last = more;
    ::close(told[0]);
    ::waitpid(child, nullptr, 0);
    const auto after = open(false);
    EXPECT_EQ(number(*after, "select count(*) from row where id between " + std::to_string(round * 100'000) +
                                 " and " + std::to_string(last)),
              last - round * 100'000 + 1);
    const auto sound = after->query("pragma integrity_check", {});
    ASSERT_TRUE(sound);
    EXPECT_EQ(as_text(sound->front()[0]), "ok");
  }
}

}  // namespace
}  // namespace tern::sql

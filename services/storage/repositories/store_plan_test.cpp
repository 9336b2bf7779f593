// How PostgreSQL reads a page of a long conversation, and finds a key in it: by one range of one index, whatever the
// table's size.
#include <gmock/gmock.h>

#include <algorithm>

#include "libs/sql/connection.hpp"
#include "services/storage/repositories/pg_statements.hpp"
#include "services/storage/repositories/store_fixture.hpp"

namespace tern::storage {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t rows_of_talk = 20'000;

std::string signed_text(uint64_t id) { return std::to_string(static_cast<int64_t>(id)); }

class store_plans : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto dsn = fresh_database();
    ASSERT_TRUE((*open_store(dsn))->migrate());
    // The plans of pg_link's sessions: made once, for any table.
    auto opened = sql::open(dsn +
                            " options='-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c"
                            " enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off -c jit=off'");
    ASSERT_TRUE(opened) << opened.error().detail;
    database_ = std::move(*opened);
    const auto place = std::to_string(slot_of(talk)) + "," + signed_text(talk.hi) + "," + signed_text(talk.lo);
    run("insert into conversation (slot, conv_hi, conv_lo, a, b, head, a_bits, b_bits, relation_version) values (" +
        place + ",1,2,0,2,2,1)");
    run("insert into message (slot, conv_hi, conv_lo, mid, sender, send_key, timestamp_ns, body) select " + place +
        ", n, 1, decode(lpad(to_hex(n), 16, '0'), 'hex'), n, '\\x78' from generate_series(1, " +
        std::to_string(rows_of_talk) + ") n");
  }
  void run(const std::string& statement) {
    auto done = database_->script(statement);
    ASSERT_TRUE(done) << done.error().detail;
  }

  /// The plan and how many rows each step of it saw.
  std::string plan_of(const sql::pg_statement& statement, const std::string& more) {
    return plan_with(statement, std::to_string(slot_of(talk)) + "," + signed_text(talk.hi) + "," +
                                    signed_text(talk.lo) + "," + more);
  }
  std::string plan_with(const sql::pg_statement& statement, const std::string& arguments) {
    run(std::string("prepare p as ") + statement.text);
    auto told = database_->query("explain (analyze, buffers, costs off, timing off, summary off) execute p (" +
                                 arguments + ")");
    EXPECT_TRUE(told) << told.error().detail;
    std::string plan;
    for (const auto& line : *told) plan += sql::as_text(line[0]) + "\n";
    return plan;
  }

  std::unique_ptr<sql::connection> database_;
};

/// 50 rows of the message table by its key, the newest for the head, and no step that saw more.
void expect_one_range(const std::string& plan) {
  EXPECT_THAT(plan, ::testing::ContainsRegex("Index Scan (Backward )?using message_pkey on message m "
                                             "\\(actual rows=50 loops=1\\)"));
  EXPECT_THAT(plan, Not(HasSubstr("Seq Scan")));
  EXPECT_THAT(plan, Not(HasSubstr("Bitmap")));
  EXPECT_THAT(plan, Not(HasSubstr("Rows Removed by Filter")));
  size_t most = 0;
  for (size_t at = 0; (at = plan.find("actual rows=", at)) != std::string::npos; ++at) {
    most = std::max<size_t>(most, std::stoul(plan.substr(at + 12)));
  }
  EXPECT_EQ(most, 50U) << plan;
}

TEST_F(store_plans, a_page_from_the_end_reads_its_own_rows_only) {
  expect_one_range(plan_of(pg_text::page_backward, "9223372036854775807,0,50,1048576,0,9223372036854775807"));
}

TEST_F(store_plans, a_page_from_the_middle_reads_its_own_rows_only) {
  expect_one_range(plan_of(pg_text::page_backward, "10000,0,50,1048576,0,9223372036854775807"));
}

TEST_F(store_plans, a_page_of_what_is_missing_reads_its_own_rows_only) {
  expect_one_range(plan_of(pg_text::page_forward, "10000,0,50,1048576,0"));
}

/// Arguments that ask for the keys of these mids, all of sender 1.
std::string keys_asked(std::initializer_list<uint64_t> mids) {
  std::string slots, highs, lows, senders, keys;
  for (const auto mid : mids) {
    const std::string comma = keys.empty() ? "" : ",";
    slots += comma + std::to_string(slot_of(talk));
    highs += comma + signed_text(talk.hi);
    lows += comma + signed_text(talk.lo);
    senders += comma + "1";
    keys += comma + "decode(lpad(to_hex(" + std::to_string(mid) + "), 16, '0'), 'hex')";
  }
  return "array[" + slots + "],array[" + highs + "]::bigint[],array[" + lows + "]::bigint[],array[" + senders +
         "]::bigint[],array[" + keys + "]";
}

/// One entry of the index of keys each, whether the tables' sizes are known or not.
void expect_key_alone(const std::string& plan, const std::string& rows) {
  EXPECT_THAT(plan,
              ::testing::ContainsRegex("Index Scan using message_send_key on message m(_1)? \\(actual rows=" + rows));
  EXPECT_THAT(plan, Not(HasSubstr("Rows Removed by Filter")));
}

TEST_F(store_plans, a_key_is_found_by_its_own_entry) {
  expect_key_alone(plan_with(pg_text::find_keys, keys_asked({10'000, 12'000})), "1 loops=2");
}

TEST_F(store_plans, a_key_that_is_not_there_reads_no_row) {
  expect_key_alone(plan_with(pg_text::find_keys, keys_asked({rows_of_talk + 5})), "0 loops=1");
}

TEST_F(store_plans, a_key_is_found_by_its_own_entry_when_the_table_is_known) {
  run("analyze message");
  expect_key_alone(plan_with(pg_text::find_keys, keys_asked({10'000, 12'000})), "1 loops=2");
}

TEST_F(store_plans, a_key_is_released_by_its_own_entry) {
  expect_key_alone(plan_with(pg_text::release_keys, keys_asked({10'000})), "1 loops=1");
  const auto left = database_->query("select count(*) from message where send_key is null");
  ASSERT_TRUE(left);
  EXPECT_EQ(sql::as_int((*left)[0][0]), 1);
}

}  // namespace
}  // namespace tern::storage

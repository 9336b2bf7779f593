#include "libs/sql/pg_link.hpp"

#include <thread>

#include "libs/sql/database_fixture.hpp"

namespace tern::sql {
namespace {

constexpr pg_statement echo_ints{
    "echo_ints", "select a, b, c from unnest($1::smallint[], $2::int[], $3::bigint[]) as u (a, b, c)"};
constexpr pg_statement echo_bytes{"echo_bytes", "select a, b from unnest($1::bytea[], $2::text[]) as u (a, b)"};
constexpr pg_statement put{"put", "insert into t select * from unnest($1::bigint[])"};
constexpr pg_statement all{"all", "select id from t order by id"};
constexpr pg_statement backend{"backend", "select pg_backend_pid()"};
constexpr pg_statement slow{"slow", "select pg_sleep(20)"};
constexpr pg_statement wrong{"wrong", "select * from nowhere"};

class pg_links : public ::testing::Test {
 protected:
  void SetUp() override {
    dsn_ = test_database();
    auto made = open(dsn_);
    ASSERT_TRUE(made);
    admin_ = std::move(*made);
    ASSERT_TRUE(admin_->script("create table t (id bigint primary key)"));
    link_ = std::make_unique<pg_link>(dsn_, pg_link_options{});
  }
  pg_params ints(std::vector<int64_t> values) {
    pg_params params;
    params.int8s(values, [](int64_t value) { return value; });
    return params;
  }
  result<std::vector<pg_rows>> run(const pg_statement& statement, pg_params params = {}) {
    const pg_link::call call{&statement, &params};
    return link_->run({&call, 1});
  }
  size_t rows_of_t() { return run(all)->at(0).size(); }
  void end_backend() {
    auto pid = run(backend);
    ASSERT_TRUE(pid);
    ASSERT_TRUE(admin_->query("select pg_terminate_backend($1::int)", {pid->at(0).integer(0, 0)}));
    auto gone = [&] {
      return as_int(
                 admin_
                     ->query("select count(*) from pg_stat_activity where pid = $1::int", {pid->at(0).integer(0, 0)})
                     ->at(0)
                     .at(0)) == 0;
    };
    while (!gone()) std::this_thread::yield();
  }

  std::string dsn_;
  std::unique_ptr<connection> admin_;
  std::unique_ptr<pg_link> link_;
};

TEST_F(pg_links, numbers_of_every_width_pass_in_binary) {
  const std::vector<int64_t> numbers{0, 1, -1, 32767, -32768};
  const auto same = [](int64_t value) { return value; };
  pg_params params;
  params.int2s(numbers, same).int4s(numbers, same).int8s(std::vector<int64_t>{INT64_MAX, INT64_MIN, 1, 2, 3}, same);
  auto found = run(echo_ints, std::move(params));
  ASSERT_TRUE(found) << found.error().detail;
  ASSERT_EQ(found->at(0).size(), 5U);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(found->at(0).integer(i, 0), numbers[i]);
    EXPECT_EQ(found->at(0).integer(i, 1), numbers[i]);
  }
  EXPECT_EQ(found->at(0).integer(0, 2), INT64_MAX);
  EXPECT_EQ(found->at(0).integer(1, 2), INT64_MIN);
}

TEST_F(pg_links, bytes_texts_nulls_and_nothing_pass_in_binary) {
  const std::vector<std::string> data{std::string("\0\xFF", 2), "", std::string(200'000, 'x')};
  const std::vector<std::string> texts{"ü", "", "z"};
  const auto same = [](const std::string& value) -> const std::string& { return value; };
  pg_params params;
  params.byteas(data, same, true).texts(texts, same);
  auto found = run(echo_bytes, std::move(params));
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(found->at(0).bytes(0, 0), data[0]);
  EXPECT_TRUE(found->at(0).null(1, 0));
  EXPECT_FALSE(found->at(0).null(1, 1));
  EXPECT_EQ(found->at(0).bytes(2, 0), data[2]);
  EXPECT_EQ(found->at(0).bytes(0, 1), "ü");
  pg_params none;
  none.byteas(std::vector<std::string>{}, same).texts(std::vector<std::string>{}, same);
  EXPECT_EQ(run(echo_bytes, std::move(none))->at(0).size(), 0U);
}

TEST_F(pg_links, all_calls_of_a_run_are_one_transaction) {
  auto one = ints({1, 2}), two = ints({3}), clash = ints({1});
  const pg_link::call bad[] = {{&put, &one}, {&put, &two}, {&put, &clash}};
  EXPECT_EQ(link_->run(bad).code(), errc::database);
  EXPECT_EQ(rows_of_t(), 0U);
  const pg_link::call good[] = {{&put, &one}, {&put, &two}};
  ASSERT_TRUE(link_->run(good));
  EXPECT_EQ(rows_of_t(), 3U);
  EXPECT_EQ(link_->generation(), 1U);
}

TEST_F(pg_links, a_wrong_statement_does_not_spoil_the_connection) {
  EXPECT_EQ(run(wrong).code(), errc::internal);
  EXPECT_EQ(run(wrong).code(), errc::internal);
  EXPECT_EQ(rows_of_t(), 0U);
  EXPECT_EQ(link_->generation(), 1U);
}

TEST_F(pg_links, a_connection_ended_while_idle_is_replaced) {
  ASSERT_TRUE(run(put, ints({1})));
  end_backend();
  ASSERT_TRUE(run(put, ints({2})));
  EXPECT_EQ(link_->generation(), 2U);
  EXPECT_EQ(rows_of_t(), 2U);
}

TEST_F(pg_links, a_statement_over_its_time_is_ended_by_the_server) {
  pg_link_options brief;
  brief.statement_timeout = std::chrono::milliseconds(50);
  link_ = std::make_unique<pg_link>(dsn_, brief);
  EXPECT_EQ(run(slow).code(), errc::unavailable);
  EXPECT_EQ(rows_of_t(), 0U);
}

TEST_F(pg_links, an_answer_that_does_not_come_leaves_doubt) {
  pg_link_options brief;
  brief.answer_timeout = std::chrono::milliseconds(50);
  link_ = std::make_unique<pg_link>(dsn_, brief);
  EXPECT_EQ(run(slow).code(), errc::deadline);
  EXPECT_EQ(rows_of_t(), 0U);
  EXPECT_EQ(link_->generation(), 2U);
}

TEST_F(pg_links, no_server_is_unavailable) {
  pg_link nowhere("host=/nonexistent dbname=x", {});
  EXPECT_EQ(nowhere.ensure().code(), errc::unavailable);
}

TEST_F(pg_links, megabytes_in_one_run_do_not_block_either_side) {
  const std::vector<std::string> data(64, std::string(256 * 1024, 'y'));
  const auto same = [](const std::string& value) -> const std::string& { return value; };
  pg_params params, again;
  params.byteas(data, same).texts(data, same);
  again = params;
  const pg_link::call calls[] = {{&echo_bytes, &params}, {&echo_bytes, &again}};
  auto found = link_->run(calls);
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(found->at(1).bytes(63, 0), data[63]);
}

}  // namespace
}  // namespace tern::sql

#include "libs/sql/connection.hpp"

#include "libs/sql/database_fixture.hpp"
#include "libs/sql/pg.hpp"

namespace tern::sql {
namespace {

class connections : public database_test {
 protected:
  void SetUp() override {
    database_test::SetUp();
    const std::string bytes = GetParam() == "pg" ? "bytea" : "blob";
    ASSERT_TRUE(connection_->script("create table t (id bigint primary key, name text, data " + bytes + ")"));
  }
  result<std::vector<row>> insert(int64_t id) {
    return connection_->query("insert into t values ($1, $2, $3)", {id, std::string("n"), std::monostate{}});
  }
};
INSTANTIATE_TEST_SUITE_P(all, connections, ::testing::Values("sqlite", "pg"),
                         [](const auto& param) { return param.param; });

TEST_P(connections, values_read_back_as_they_were_bound) {
  const blob data{std::string("\0\xFF'\\x", 5)};
  ASSERT_TRUE(connection_->query("insert into t values ($1, $2, $3)", {INT64_MIN, std::string("it's ü"), data}));
  EXPECT_EQ(connection_->changed(), 1U);
  ASSERT_TRUE(connection_->query("insert into t values ($1, $2, $3)", {int64_t{2}, std::monostate{}, blob{}}));
  const auto rows = *connection_->query("select id, name, data from t order by id");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0], (row{INT64_MIN, std::string("it's ü"), data}));
  EXPECT_EQ(rows[1], (row{int64_t{2}, std::monostate{}, blob{}}));
}

TEST_P(connections, errors_tell_what_kind_they_are) {
  ASSERT_TRUE(insert(1));
  EXPECT_EQ(insert(1).code(), errc::database);
  EXPECT_EQ(connection_->query("selekt").code(), errc::internal);
  EXPECT_EQ(connection_->script("select * from nowhere").code(), errc::internal);
  EXPECT_TRUE(insert(2));
}

TEST_P(connections, a_rolled_back_transaction_left_nothing) {
  ASSERT_TRUE(connection_->begin());
  ASSERT_TRUE(insert(1));
  connection_->rollback();
  EXPECT_EQ(count("t"), 0);
  ASSERT_TRUE(connection_->begin());
  ASSERT_TRUE(insert(1));
  ASSERT_TRUE(connection_->commit());
  EXPECT_EQ(count("t"), 1);
}

TEST_P(connections, an_exclusive_transaction_keeps_others_out) {
  auto other = connect(std::chrono::milliseconds(50));
  ASSERT_TRUE(connection_->begin_exclusive(7));
  EXPECT_EQ(other->begin_exclusive(7).code(), errc::unavailable);
  ASSERT_TRUE(connection_->commit());
  EXPECT_TRUE(other->begin_exclusive(7));
  other->rollback();
}

TEST_P(connections, statements_are_counted) {
  const auto before = connection_->statements();
  ASSERT_TRUE(connection_->begin());
  ASSERT_TRUE(insert(1));
  ASSERT_TRUE(connection_->commit());
  EXPECT_EQ(connection_->statements() - before, 3U);
}

class pg_connections : public connections {
 protected:
  void end_backend() {
    auto pid = connection_->query("select pg_backend_pid()");
    ASSERT_TRUE(pid);
    auto killer = connect();
    ASSERT_TRUE(killer->query("select pg_terminate_backend($1::int)", {pid->at(0).at(0)}));
    ASSERT_TRUE(killer->query("select count(*) from t"));
  }
};
INSTANTIATE_TEST_SUITE_P(pg, pg_connections, ::testing::Values("pg"), [](const auto& param) { return param.param; });

TEST_P(pg_connections, a_transaction_never_goes_on_silently_on_a_new_connection) {
  ASSERT_TRUE(connection_->begin());
  ASSERT_TRUE(insert(1));
  end_backend();
  EXPECT_EQ(insert(2).code(), errc::unavailable);
  EXPECT_EQ(connection_->commit().code(), errc::unavailable);
  EXPECT_EQ(connection_->begin().code(), errc::unavailable);
  ASSERT_TRUE(connection_->reopen());
  EXPECT_EQ(count("t"), 0);
}

TEST_P(pg_connections, a_connection_lost_at_the_commit_leaves_doubt) {
  ASSERT_TRUE(connection_->begin());
  ASSERT_TRUE(insert(1));
  end_backend();
  EXPECT_EQ(connection_->commit().code(), errc::deadline);
}

TEST(pg_dsn, is_completed_without_changing_what_it_says) {
  const auto plain = complete_pg_dsn("host=h connect_timeout=9", {});
  EXPECT_EQ(plain.find("connect_timeout=3"), std::string::npos);
  EXPECT_NE(plain.find(" keepalives_idle=5"), std::string::npos);
  EXPECT_EQ(complete_pg_dsn("postgres://h/db", {}).find("postgres://h/db?connect_timeout=3&"), 0U);
  EXPECT_EQ(complete_pg_dsn("postgresql://h/db?x=1", {}).find("postgresql://h/db?x=1&connect_timeout=3&"), 0U);
  EXPECT_FALSE(open_pg("host=/nonexistent dbname=x", {}));
  EXPECT_EQ(open_pg("host=/nonexistent dbname=x", {}).code(), errc::unavailable);
}

}  // namespace
}  // namespace tern::sql

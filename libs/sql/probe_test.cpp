#include "libs/sql/probe.hpp"

#include <fstream>

#include "libs/sql/database_fixture.hpp"

namespace tern::sql {
namespace {

using ::testing::HasSubstr;

class probe_test : public database_test {};
INSTANTIATE_TEST_SUITE_P(databases, probe_test, ::testing::Values("sqlite", "pg"));

TEST_P(probe_test, tells_the_schema_of_a_database_that_takes_writes) {
  EXPECT_EQ(probe(dsn_, std::chrono::seconds(5))->schema, -1);
  ASSERT_TRUE(connection_->script("create table schema_migration (version integer)"));
  ASSERT_TRUE(connection_->query("insert into schema_migration values (3), (7)"));
  const auto found = probe(dsn_, std::chrono::seconds(5));
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(found->schema, 7);
  const std::string expected = GetParam() == "sqlite" ? directory_.file("sub") : found->directory;
  EXPECT_EQ(found->directory, expected);
}

TEST(probe, says_what_is_wrong_in_the_servers_words) {
  const auto limit = std::chrono::seconds(5);
  EXPECT_THAT(probe(test_server().dsn("nowhere"), limit).error().detail, HasSubstr("\"nowhere\" does not exist"));
  EXPECT_THAT(probe("host=127.0.0.1 port=1 dbname=tern", limit).error().detail, HasSubstr("refused"));
  EXPECT_THAT(probe("sqlite:/nowhere/x.db", limit).error().detail, HasSubstr("no file /nowhere/x.db"));
  const auto frozen = test_database();
  ASSERT_TRUE(test_server().query("alter database " + frozen.substr(frozen.rfind('=') + 1) +
                                  " set default_transaction_read_only = on"));
  EXPECT_THAT(probe(frozen, limit).error().detail, HasSubstr("read-only"));
}

TEST(probe, shows_where_a_database_is_without_its_password) {
  EXPECT_EQ(shown("host=db-1 dbname=tern user=tern password=s3cret"), "postgresql db-1:5432/tern as tern");
  EXPECT_EQ(shown("postgres://tern:s3cret@db-2:5433/other"), "postgresql db-2:5433/other as tern");
  EXPECT_EQ(shown("sqlite:/data/a.db"), "sqlite /data/a.db");
}

}  // namespace
}  // namespace tern::sql

#include "libs/sql/migrations.hpp"

#include <thread>

#include "libs/sql/database_fixture.hpp"

namespace tern::sql {
namespace {

class migrations : public database_test {};
INSTANTIATE_TEST_SUITE_P(all, migrations, ::testing::Values("sqlite", "pg"),
                         [](const auto& param) { return param.param; });

const migration first{1, "0001_one", "create table one (id bigint primary key); insert into one values (1);"};
const migration second{2, "0002_two", "create table two (id bigint); insert into two select id from one;"};
const migration third{3, "0003_three", "insert into one values (3); insert into one values (4);"};

TEST_P(migrations, are_applied_once_and_in_order) {
  const migration some[] = {first, second};
  const migration all[] = {first, second, third};
  ASSERT_TRUE(migrate(*connection_, some));
  ASSERT_TRUE(migrate(*connection_, some));
  EXPECT_EQ(count("two"), 1);
  ASSERT_TRUE(migrate(*connection_, all));
  ASSERT_TRUE(migrate(*connection_, all));
  EXPECT_EQ(count("one"), 3);
  EXPECT_EQ(count("schema_migration"), 3);
}

TEST_P(migrations, are_known_to_be_there_or_not_without_being_applied) {
  const migration some[] = {first, second};
  const migration all[] = {first, second, third};
  EXPECT_FALSE(*is_migrated(*connection_, some));
  EXPECT_EQ(count("schema_migration"), -1);
  ASSERT_TRUE(migrate(*connection_, some));
  EXPECT_TRUE(*is_migrated(*connection_, some));
  EXPECT_FALSE(*is_migrated(*connection_, all));
  EXPECT_EQ(count("one"), 1);
  ASSERT_TRUE(migrate(*connection_, all));
  EXPECT_EQ(is_migrated(*connection_, some).code(), errc::config);
}

TEST_P(migrations, wait_for_each_other_when_started_at_once) {
  const migration all[] = {first, second, third};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      auto mine = connect();
      auto done = migrate(*mine, all);
      EXPECT_TRUE(done) << done.error().detail;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(count("one"), 3);
  EXPECT_EQ(count("schema_migration"), 3);
}

TEST_P(migrations, a_changed_text_is_refused) {
  const migration all[] = {first, second};
  ASSERT_TRUE(migrate(*connection_, all));
  const migration changed[] = {first, {2, "0002_two", "create table other (id bigint);"}};
  EXPECT_EQ(migrate(*connection_, changed).code(), errc::config);
  EXPECT_TRUE(migrate(*connection_, all));
}

TEST_P(migrations, a_newer_schema_is_refused) {
  const migration all[] = {first, second};
  ASSERT_TRUE(migrate(*connection_, all));
  const migration old[] = {first};
  const auto refused = migrate(*connection_, old);
  EXPECT_EQ(refused.code(), errc::config);
  EXPECT_NE(refused.error().detail.find("newer"), std::string::npos);
  const migration other[] = {first, third};
  EXPECT_EQ(migrate(*connection_, other).code(), errc::config);
}

TEST_P(migrations, a_failed_one_leaves_nothing_and_the_next_run_goes_on) {
  const migration broken[] = {first,
                              {2, "0002_two", "create table two (id bigint); insert into nowhere values (1);"}};
  EXPECT_FALSE(migrate(*connection_, broken));
  EXPECT_EQ(count("one"), 1);
  EXPECT_EQ(count("two"), -1);
  const migration all[] = {first, second};
  ASSERT_TRUE(migrate(*connection_, all));
  EXPECT_EQ(count("two"), 1);
}

}  // namespace
}  // namespace tern::sql

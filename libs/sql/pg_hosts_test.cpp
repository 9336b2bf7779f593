#include "libs/sql/pg_hosts.hpp"

#include "libs/sql/database_fixture.hpp"
#include "libs/sql/pg.hpp"

namespace tern::sql {
namespace {

using namespace std::chrono_literals;

pg_server primary(uint64_t term, int64_t started = 1, uint64_t system = 7) {
  pg_server one;
  one.where = "p" + std::to_string(term);
  one.answers = true;
  one.system = system;
  one.term = term;
  one.started_us = started;
  return one;
}

pg_server standby(uint64_t heard, uint64_t system = 7) {
  auto one = primary(heard, 1, system);
  one.standby = true;
  return one;
}

pg_server away() {
  pg_server one;
  one.problem = "nobody there";
  return one;
}

TEST(pg_primary, the_highest_timeline_wins) {
  const pg_server all[] = {primary(1), away(), primary(3), primary(2)};
  EXPECT_EQ(*choose_primary(all, {}), 2U);
}

TEST(pg_primary, a_former_one_is_refused_once_a_newer_one_was_seen) {
  const pg_server only[] = {away(), primary(1)};
  EXPECT_EQ(*choose_primary(only, {7, 1}), 1U);
  EXPECT_EQ(choose_primary(only, {7, 2}).code(), errc::unavailable);
  EXPECT_EQ(choose_primary(only, {0, 2}).code(), errc::unavailable) << "somebody else has seen it";
}

TEST(pg_primary, a_former_one_is_refused_when_a_standby_knows_of_a_newer_one) {
  const pg_server all[] = {primary(1), standby(2)};
  EXPECT_EQ(choose_primary(all, {}).code(), errc::unavailable);
  const pg_server old[] = {primary(2), standby(1)};
  EXPECT_EQ(*choose_primary(old, {}), 0U);
  const pg_server stranger[] = {primary(1), standby(9, 8)};
  EXPECT_EQ(*choose_primary(stranger, {7, 1}), 0U) << "of another cluster";
}

TEST(pg_primary, two_that_cannot_be_told_apart_are_refused) {
  const pg_server twins[] = {primary(2, 100), primary(2, 200)};
  EXPECT_EQ(choose_primary(twins, {}).code(), errc::unavailable);
  const pg_server same[] = {primary(2, 100), primary(2, 100)};
  EXPECT_TRUE(choose_primary(same, {})) << "one server by two names";
  const pg_server mixed[] = {primary(1, 100, 7), primary(2, 200, 8)};
  EXPECT_EQ(choose_primary(mixed, {}).code(), errc::unavailable);
  EXPECT_EQ(*choose_primary(mixed, {7, 1}), 0U) << "the one that was written to before";
}

TEST(pg_primary, standbys_and_read_only_servers_take_no_writes) {
  auto locked = primary(1);
  locked.read_only = true;
  const pg_server all[] = {standby(1), locked};
  EXPECT_EQ(choose_primary(all, {}).code(), errc::unavailable);
  EXPECT_EQ(*choose_primary(all, {}, false), 1U);
  EXPECT_EQ(choose_primary({all, 1}, {}, false).code(), errc::unavailable);
}

TEST(pg_terms_test, only_grow) {
  pg_terms terms;
  terms.require(3);
  terms.saw(7, 2);
  EXPECT_EQ(terms.newest().timeline, 3U);
  EXPECT_EQ(terms.newest().system, 7U);
  terms.saw(7, 4);
  EXPECT_EQ(terms.newest().timeline, 4U);
}

TEST(pg_standbys, how_many_a_commit_waits_for) {
  EXPECT_EQ(standbys_asked(""), 0U);
  EXPECT_EQ(standbys_asked(" "), 0U);
  EXPECT_EQ(standbys_asked("*"), 1U);
  EXPECT_EQ(standbys_asked("a, b"), 1U);
  EXPECT_EQ(standbys_asked("2 (a, b, c)"), 2U);
  EXPECT_EQ(standbys_asked("FIRST 3 (*)"), 3U);
  EXPECT_EQ(standbys_asked(" any 2(a,b)"), 2U);
}

TEST(pg_host_lists, become_one_string_per_host) {
  const auto keys = hosts_of("host=a,b port=1,2 dbname='x y' target_session_attrs=any");
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[0], "dbname='x y' host='a' port='1'");
  EXPECT_EQ(keys[1], "dbname='x y' host='b' port='2'");
  const auto uri = hosts_of("postgresql://u@a:1,b/db?application_name=it%27s");
  ASSERT_EQ(uri.size(), 2U);
  EXPECT_EQ(uri[1], "application_name='it\\'s' dbname='db' host='b' user='u'");
  EXPECT_EQ(hosts_of("host=a,b port=5")[1], "host='b' port='5'");
  EXPECT_EQ(hosts_of("host=a dbname=x"), std::vector<std::string>{"host=a dbname=x"});
  EXPECT_NE(complete_pg_dsn("host=a,b", {}).find("target_session_attrs=read-write"), std::string::npos);
  EXPECT_EQ(complete_pg_dsn("host=a", {}).find("target_session_attrs"), std::string::npos);
}

TEST(pg_servers, tell_what_they_are) {
  pg_hosts hosts("host=127.0.0.1,127.0.0.1 port=1," + std::to_string(test_server().port()) +
                 " user=tern dbname=tern");
  for (int round = 0; round < 2; ++round) {
    const auto found = hosts.look(5s, 1s);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_FALSE(found[0].answers);
    EXPECT_NE(found[0].problem.find("refused"), std::string::npos) << found[0].problem;
    EXPECT_TRUE(found[1].answers) << found[1].problem;
    EXPECT_FALSE(found[1].standby);
    EXPECT_EQ(found[1].term, 1U);
    EXPECT_NE(found[1].system, 0U);
    EXPECT_EQ(found[1].copies_asked, 0U);
  }
}

TEST(pg_servers, one_that_hangs_is_away_in_time) {
  auto server = testing::postgres_server::start();
  ASSERT_TRUE(server);
  pg_hosts hosts((*server)->dsn());
  ASSERT_TRUE(hosts.look(5s, 1s)[0].answers);
  (*server)->pause();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_FALSE(hosts.look(300ms, 1s)[0].answers);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 3s);
  (*server)->resume();
  EXPECT_TRUE(hosts.look(5s, 1s)[0].answers);
}

}  // namespace
}  // namespace tern::sql

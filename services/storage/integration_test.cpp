// A storage node on real databases: SQLite files and a PostgreSQL server that is killed under load.
#include <filesystem>
#include <set>
#include <thread>

#include "libs/testing/servers.hpp"
#include "libs/testing/temp_dir.hpp"
#include "services/storage/testing/storage_node.hpp"

namespace tern::storage {
namespace {

using namespace std::chrono_literals;
using testing::ann;
using testing::append;
using testing::ben;
using testing::fake_client;
using testing::fake_session;
using testing::node_options;
using testing::storage_node;

errc code_of(const v1::StorageReply& reply) { return static_cast<errc>(reply.code()); }

tern::testing::postgres_server& postgres() {
  static auto server = tern::testing::postgres_server::start();
  if (!server) ADD_FAILURE() << server.error().detail;
  return **server;
}

/// GetParam() is "sqlite" or "pg".
class storage_on : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    static int count = 0;
    if (GetParam() == "sqlite") {
      dsn_ = "sqlite:" + directory_.file("shard.db");
    } else {
      const auto name = "node_" + std::to_string(++count);
      auto made = postgres().create_database(name);
      ASSERT_TRUE(made) << made.error().detail;
      dsn_ = postgres().dsn(name);
    }
  }
  void TearDown() override { stop(); }

  void start(uint64_t epoch) {
    node_options how;
    how.dsn = dsn_;
    node_ = std::make_unique<storage_node>(std::move(how));
    low_ = std::make_unique<fake_session>(node_->network(), "local:session-0");
    high_ = std::make_unique<fake_session>(node_->network(), "local:session-1");
    client_ = fake_client::connect(node_->network(), "local:storage-0", link_);
    client_->set_epoch(epoch);
    node_->publish(epoch);
  }
  void stop() {
    link_.reset();
    node_.reset();
  }
  /// Sends until it is stored; each attempt is a new call with the same key, as a client's retry is.
  v1::StorageReply insist(const std::string& key) {
    v1::StorageReply reply;
    for (int attempt = 0; attempt < 40; ++attempt) {
      reply = client_->ask(append(++call_, ann, ben, key, key));
      if (code_of(reply) == errc::ok) break;
    }
    return reply;
  }
  std::vector<v1::HistoryRow> history() {
    std::vector<v1::HistoryRow> all;
    for (;;) {
      auto ask = testing::read_all(++call_, ann, ben);
      ask.mutable_read()->set_from_mid(all.empty() ? 0 : all.back().mid());
      const auto page = client_->ask(ask).page();
      all.insert(all.end(), page.rows().begin(), page.rows().end());
      if (page.rows_size() == 0 || page.reached() >= page.head()) return all;
    }
  }

  tern::testing::temp_dir directory_;
  std::string dsn_;
  std::unique_ptr<fake_session> low_, high_;
  std::unique_ptr<storage_node> node_;
  std::unique_ptr<rpc::link> link_;
  std::shared_ptr<fake_client> client_;
  uint64_t call_ = 0;
};

TEST_P(storage_on, a_restarted_node_goes_on_where_the_last_one_stood) {
  start(1);
  high_->set_mood(fake_session::mood::silent);
  for (int i = 1; i <= 500; ++i) client_->send(append(++call_, ann, ben, "k" + std::to_string(i)));
  ASSERT_TRUE(client_->wait_for_all());
  EXPECT_EQ(client_->answer(500).appended().mid(), 500U);
  stop();
  start(2);
  ASSERT_TRUE(high_->wait_for_entries(500));  // all of them again, in order
  const auto got = high_->received();
  for (size_t i = 0; i < 500; ++i) EXPECT_EQ(got[i].message().mid(), i + 1);
  const auto again = client_->ask(append(++call_, ann, ben, "k7"));
  EXPECT_EQ(again.appended().mid(), 7U);
  EXPECT_TRUE(again.appended().duplicate());
  EXPECT_EQ(client_->ask(append(++call_, ann, ben, "new")).appended().mid(), 501U);
  EXPECT_EQ(history().size(), 501U);
  ASSERT_TRUE(high_->wait_for_entries(501));
  ASSERT_TRUE(node_->wait_until_drained());
  link_.reset();
  node_->stop();
  EXPECT_EQ(node_->outbox_left(), 0U);
}

TEST_P(storage_on, few_statements_serve_many_messages) {
  start(1);
  insist("first");
  const double before = node_->metric("tern_storage_statements_total{shard=\"s0\"}");
  for (int i = 1; i <= 10'000; ++i) client_->send(append(++call_, ann, ben, "k" + std::to_string(i)));
  ASSERT_TRUE(client_->wait_for_all());
  ASSERT_TRUE(high_->wait_for_entries(10'001));
  ASSERT_TRUE(node_->wait_until_drained());
  const double statements = node_->metric("tern_storage_statements_total{shard=\"s0\"}") - before;
  RecordProperty("statements_per_message", std::to_string(statements / 10'000));
  EXPECT_LT(statements / 10'000, 0.05);
}

INSTANTIATE_TEST_SUITE_P(databases, storage_on, ::testing::Values("sqlite", "pg"),
                         [](const auto& about) { return about.param; });

class storage_on_killed : public storage_on {};

TEST_P(storage_on_killed, a_killed_and_restarted_server_costs_errors_but_no_acknowledged_message) {
  start(1);
  std::map<std::string, uint64_t> acknowledged;
  std::chrono::steady_clock::duration longest{};
  for (int i = 0; i < 300; ++i) {
    if (i == 100) postgres().kill_hard();
    if (i == 104) {
      ASSERT_TRUE(postgres().restart());
    }
    if (i == 200) {
      postgres().stop_immediately();
      ASSERT_TRUE(postgres().restart());
    }
    const auto key = "k" + std::to_string(i);
    const auto begun = std::chrono::steady_clock::now();
    const auto reply = client_->ask(append(++call_, ann, ben, key, key));
    longest = std::max(longest, std::chrono::steady_clock::now() - begun);
    if (code_of(reply) == errc::ok) acknowledged[key] = reply.appended().mid();
  }
  EXPECT_LT(longest, 2s);
  EXPECT_GT(acknowledged.size(), 200U);
  const auto last = insist("last");
  EXPECT_EQ(code_of(last), errc::ok);
  uint64_t mid = 0;
  std::set<std::string> stored;
  for (const auto& row : history()) {
    EXPECT_EQ(row.mid(), ++mid);
    EXPECT_TRUE(stored.insert(row.body()).second) << "stored twice: " << row.body();
    const auto at = acknowledged.find(row.body());
    if (at != acknowledged.end()) {
      EXPECT_EQ(at->second, row.mid());
    }
  }
  for (const auto& [key, unused] : acknowledged) EXPECT_TRUE(stored.contains(key)) << "lost: " << key;
  ASSERT_TRUE(high_->wait_for_entries(mid));
  ASSERT_TRUE(node_->wait_until_drained());
}

INSTANTIATE_TEST_SUITE_P(databases, storage_on_killed, ::testing::Values("pg"),
                         [](const auto& about) { return about.param; });

}  // namespace
}  // namespace tern::storage

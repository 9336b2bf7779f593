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
  // What the writer was told of confirmations before this is committed with it.
  EXPECT_TRUE(client_->ask(append(++call_, ann, ben, "new")).appended().duplicate());
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

TEST_P(storage_on, few_statements_serve_many_room_messages) {
  start(1);
  constexpr uint64_t rooms = 50, members = 4;
  const auto room_of = [](uint64_t i) { return room_id{0x7000 + i % rooms}; };
  const auto member_of = [](uint64_t i) { return account_id{0x9000 + i % members}; };
  for (uint64_t i = 0; i < rooms; ++i) {
    client_->send(testing::room_create(++call_, member_of(0), v1::ROOM_OPEN, room_of(i)));
    for (uint64_t m = 1; m < members; ++m) {
      client_->send(testing::room_change(++call_, member_of(m), v1::RoomChange::APPLY, {}, {}, room_of(i)));
    }
  }
  ASSERT_TRUE(client_->wait_for_all());
  ASSERT_TRUE(node_->wait_until_drained());
  const double before = node_->metric("tern_storage_statements_total{shard=\"s0\"}");
  for (uint64_t i = 0; i < 10'000; ++i) {
    client_->send(testing::room_append(++call_, member_of(i), "k" + std::to_string(i), "body", room_of(i / 4)));
  }
  ASSERT_TRUE(client_->wait_for_all());
  EXPECT_EQ(client_->answer(call_).appended().mid(), 10'000 / rooms);
  const double statements = node_->metric("tern_storage_statements_total{shard=\"s0\"}") - before;
  RecordProperty("statements_per_room_message", std::to_string(statements / 10'000));
  EXPECT_LT(statements / 10'000, 0.05);
}

TEST_P(storage_on, rooms_and_what_is_told_of_them_survive_a_restart) {
  start(1);
  low_->set_mood(fake_session::mood::silent);
  high_->set_mood(fake_session::mood::silent);
  const auto ok = [&](const v1::StorageRequest& request) {
    const auto reply = client_->ask(request);
    EXPECT_EQ(code_of(reply), errc::ok) << request.ShortDebugString();
    return reply;
  };
  ok(testing::room_create(++call_, ann, v1::ROOM_PRIVATE));
  ok(testing::room_change(++call_, ben, v1::RoomChange::APPLY, {}, "please"));
  EXPECT_TRUE(ok(testing::room_change(++call_, ann, v1::RoomChange::PULL_IN, ben)).room_changed().was_applicant());
  ok(testing::room_change(++call_, ann, v1::RoomChange::BAR, testing::cat));
  for (uint64_t mid = 1; mid <= 3; ++mid) {
    EXPECT_EQ(ok(testing::room_append(++call_, ben, "k" + std::to_string(mid))).appended().mid(), mid);
  }
  common::v1::Conversation talk;
  talk.set_hi(testing::harbour.value);
  EXPECT_EQ(ok(testing::recall(++call_, from_proto(talk), ben, 2)).appended().mid(), 4U);
  ASSERT_TRUE(low_->wait_for_entries(3));   // ann: founder, application; cat: barred
  ASSERT_TRUE(high_->wait_for_entries(2));  // ben: applied, admitted
  stop();

  start(2);
  ASSERT_TRUE(low_->wait_for_entries(3));
  ASSERT_TRUE(high_->wait_for_entries(2));
  const auto told = high_->received();
  EXPECT_EQ(told[0].room().bits(), uint32_t{room_applied});
  EXPECT_EQ(told[1].room().bits(), uint32_t{room_member});
  EXPECT_EQ(told[1].room().notice_bn_type(), 10U);
  EXPECT_EQ(code_of(client_->ask(testing::room_append(++call_, testing::cat, "x"))), errc::permission_denied);
  EXPECT_EQ(ok(testing::room_append(++call_, ben, "k3")).appended().mid(), 3U);  // a retry
  EXPECT_TRUE(ok(testing::recall(++call_, from_proto(talk), ben, 2)).appended().duplicate());
  EXPECT_EQ(ok(testing::room_append(++call_, ann, "k5")).appended().mid(), 5U);
  const auto page = ok(testing::read_room(++call_, ben)).page();
  ASSERT_EQ(page.rows_size(), 4);
  EXPECT_EQ(page.rows(1).mid(), 3U);
  EXPECT_EQ(page.rows(2).target(), 2U);
  auto members = testing::request(++call_);
  members.mutable_room_members()->set_room(testing::harbour.value);
  members.mutable_room_members()->set_reader(ben.value);
  members.mutable_room_members()->set_domain("d");
  EXPECT_EQ(ok(members).room_members().accounts_size(), 2);
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

/// Joining and leaving in turn: a change that was answered is there, one that was not is there or not, and the
/// version tells of each.
TEST_P(storage_on_killed, rooms_are_what_was_answered_after_a_server_was_killed) {
  start(1);
  ASSERT_EQ(code_of(client_->ask(testing::room_create(++call_, ann))), errc::ok);
  std::map<std::string, uint64_t> acknowledged;
  uint64_t version = 1;
  for (int i = 0; i < 200; ++i) {
    if (i == 60) postgres().kill_hard();
    if (i == 64) {
      ASSERT_TRUE(postgres().restart());
    }
    if (i == 130) {
      postgres().stop_immediately();
      ASSERT_TRUE(postgres().restart());
    }
    const auto key = "k" + std::to_string(i);
    const auto stored = client_->ask(testing::room_append(++call_, ann, key, key));
    if (code_of(stored) == errc::ok) acknowledged[key] = stored.appended().mid();
    const auto what = i % 2 == 0 ? v1::RoomChange::APPLY : v1::RoomChange::LEAVE;
    const auto changed = client_->ask(testing::room_change(++call_, ben, what));
    if (code_of(changed) != errc::ok) continue;
    EXPECT_GT(changed.room_changed().version(), version);
    version = changed.room_changed().version();
  }
  EXPECT_GT(acknowledged.size(), 100U);
  v1::StorageReply reply;
  for (int attempt = 0; attempt < 40 && reply.room().version() == 0; ++attempt) {
    auto get = testing::request(++call_);
    get.mutable_room_get()->set_room(testing::harbour.value);
    get.mutable_room_get()->set_domain("d");
    reply = client_->ask(get);
  }
  EXPECT_EQ(reply.room().version(), version);  // the last one was answered
  uint64_t mid = 0;
  const auto page = client_->ask(testing::read_room(++call_, ann)).page();
  for (const auto& row : page.rows()) {
    EXPECT_EQ(row.mid(), ++mid);
    const auto at = acknowledged.find(row.body());
    if (at == acknowledged.end()) continue;
    EXPECT_EQ(at->second, row.mid());
    acknowledged.erase(at);
  }
  EXPECT_TRUE(acknowledged.empty()) << acknowledged.size() << " acknowledged messages are lost";
  EXPECT_EQ(reply.room().head(), mid);
}

INSTANTIATE_TEST_SUITE_P(databases, storage_on_killed, ::testing::Values("pg"),
                         [](const auto& about) { return about.param; });

}  // namespace
}  // namespace tern::storage

// The actors of a storage node together, over local links, with fake session nodes.
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

#include "services/storage/testing/storage_node.hpp"
#include "services/storage/testing/throwing_store.hpp"

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

/// A database that can be switched off.
struct switched_store {
  std::atomic<bool> away{false};
  store_holder::open_function open() {
    return [this](const std::string& dsn) -> result<std::unique_ptr<store>> {
      if (away) return error{errc::unavailable, "switched off"};
      return open_store(dsn);
    };
  }
};

class storage_actors : public ::testing::Test {
 protected:
  void start(node_options how = {}, uint64_t epoch = 1) {
    node_ = std::make_unique<storage_node>(std::move(how));
    low_ = std::make_unique<fake_session>(node_->network(), "local:session-0");
    high_ = std::make_unique<fake_session>(node_->network(), "local:session-1");
    client_ = fake_client::connect(node_->network(), "local:storage-0", link_);
    if (epoch != 0) node_->publish(epoch);
  }
  void TearDown() override {
    link_.reset();
    node_.reset();
  }

  std::unique_ptr<fake_session> low_, high_;  // of the accounts ann and ben
  std::unique_ptr<storage_node> node_;
  std::unique_ptr<rpc::link> link_;
  std::shared_ptr<fake_client> client_;
};

TEST_F(storage_actors, an_append_is_answered_delivered_and_forgotten_once_confirmed) {
  start();
  const auto reply = client_->ask(append(1, ann, ben, "k", "hello"));
  EXPECT_EQ(reply.appended().mid(), 1U);
  ASSERT_TRUE(high_->wait_for_entries(1));
  const auto got = high_->received().at(0);
  EXPECT_EQ(got.account(), ben.value);
  EXPECT_EQ(got.message().body(), "hello");
  EXPECT_EQ(got.message().timestamp_ns(), reply.appended().timestamp_ns());
  EXPECT_EQ(got.accepted_ns(), 1);
  ASSERT_TRUE(node_->wait_until_drained());
  const auto page = client_->ask(testing::read_all(2, ben, ann)).page();
  ASSERT_EQ(page.rows_size(), 1);
  EXPECT_EQ(page.head(), 1U);
  EXPECT_EQ(code_of(client_->ask(testing::read_all(3, testing::cat, ann))), errc::ok);  // no such conversation: empty
}

TEST_F(storage_actors, a_node_is_ready_once_every_shard_was_given_out_and_its_own_are_open) {
  for (const std::string owner : {"storage-0", "storage-1"}) {
    storage_node fresh;
    fresh.publish(0, "");
    EXPECT_TRUE(fresh.wait_unready("the shards have no owners yet"));
    fresh.publish(1, owner);
    EXPECT_TRUE(fresh.wait_unready(""));
    fresh.publish(1, "");  // seen once is enough
    fresh.stop();
    EXPECT_TRUE(fresh.wait_unready(""));
  }
}

TEST_F(storage_actors, a_stranger_cannot_read_a_conversation) {
  start();
  client_->ask(append(1, ann, ben, "k"));
  auto foreign = testing::read_all(2, ann, ben);
  foreign.mutable_read()->set_reader(testing::cat.value);
  EXPECT_EQ(code_of(client_->ask(foreign)), errc::permission_denied);
}

TEST_F(storage_actors, what_was_not_confirmed_is_delivered_by_the_next_epoch_in_order) {
  start();
  high_->set_mood(fake_session::mood::silent);
  for (uint64_t i = 1; i <= 50; ++i) client_->send(append(i, ann, ben, "k" + std::to_string(i)));
  ASSERT_TRUE(client_->wait_for_all());
  ASSERT_TRUE(high_->wait_for_entries(50));
  high_->set_mood(fake_session::mood::confirms);
  const size_t before = high_->received().size();
  node_->publish(2);
  ASSERT_TRUE(node_->wait_until_drained() && high_->received().size() >= before);
  client_->set_epoch(2);
  EXPECT_EQ(client_->ask(append(51, ann, ben, "k51")).appended().mid(), 51U);
  ASSERT_TRUE(high_->wait_for_entries(51));
  ASSERT_TRUE(node_->wait_until_drained());
  const auto got = high_->received();
  for (size_t i = before; i < got.size(); ++i) EXPECT_EQ(got[i].message().mid(), i - before + 1);
  // What the writer was told of confirmations before this is committed with it.
  EXPECT_TRUE(client_->ask(append(52, ann, ben, "k51")).appended().duplicate());
  link_.reset();
  node_->stop();
  EXPECT_EQ(node_->outbox_left(), 0U);
}

TEST_F(storage_actors, requests_of_a_past_epoch_or_a_foreign_shard_are_answered_wrong_owner) {
  start({}, 5);
  client_->keep_wrong_owner = true;
  auto old = append(1, ann, ben, "k");
  old.set_epoch(4);
  EXPECT_EQ(code_of(client_->ask(old)), errc::wrong_owner);
  auto foreign = append(2, ann, ben, "k");
  foreign.set_shard("s9");
  EXPECT_EQ(code_of(client_->ask(foreign)), errc::wrong_owner);
  node_->publish(6, "storage-1");
  auto gone = append(3, ann, ben, "k");
  gone.set_epoch(6);
  EXPECT_EQ(code_of(client_->ask(gone)), errc::wrong_owner);
}

TEST_F(storage_actors, after_a_restart_the_epoch_of_the_former_process_is_not_served) {
  start({}, 0);
  node_->publish(1, "storage-0", 1, "session-1", 7);
  client_->keep_wrong_owner = true;
  EXPECT_EQ(code_of(client_->ask(append(1, ann, ben, "k"))), errc::wrong_owner);
  node_->publish(2);
  client_->set_epoch(2);
  EXPECT_EQ(client_->ask(append(2, ann, ben, "k")).appended().mid(), 1U);
}

TEST_F(storage_actors, requests_of_an_epoch_that_begins_soon_wait_for_it_in_order) {
  start({}, 0);
  client_->set_epoch(1);
  for (uint64_t i = 1; i <= 20; ++i) client_->send(append(i, ann, ben, "k" + std::to_string(i)));
  EXPECT_TRUE(client_->answers().empty());
  node_->publish(1);
  ASSERT_TRUE(client_->wait_for_all());
  for (const auto& [call, reply] : client_->answers()) EXPECT_EQ(reply.appended().mid(), call);
}

TEST_F(storage_actors, without_a_lease_nothing_is_served_and_the_sender_hears_of_it_within_two_seconds) {
  start();
  EXPECT_EQ(code_of(client_->ask(append(1, ann, ben, "k1"))), errc::ok);
  node_->lease = false;
  std::this_thread::yield();
  while (node_->slot().port->serves(1)) std::this_thread::yield();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(code_of(client_->ask(append(2, ann, ben, "k2"))), errc::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
  client_->send(append(3, ann, ben, "k3"));
  node_->lease = true;
  EXPECT_EQ(client_->answer(3).appended().mid(), 2U);
}

TEST_F(storage_actors, while_the_database_is_away_senders_get_an_error_soon_and_service_returns_with_it) {
  switched_store database;
  database.away = true;
  node_options how;
  how.open = database.open();
  how.slots.port.request_timeout = 500ms;
  start(how);
  const auto begun = std::chrono::steady_clock::now();
  client_->send(append(1, ann, ben, "k"));
  client_->send(testing::read_all(2, ann, ben));
  EXPECT_EQ(code_of(client_->answer(1)), errc::unavailable);
  EXPECT_EQ(code_of(client_->answer(2)), errc::unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 1500ms);
  database.away = false;
  uint64_t call = 3;
  v1::StorageReply reply;
  do {
    reply = client_->ask(append(call, ann, ben, "k" + std::to_string(call)));
    ++call;
  } while (code_of(reply) == errc::unavailable && call < 50);
  EXPECT_EQ(reply.appended().mid(), 1U);
}

TEST_F(storage_actors, above_the_bound_of_waiting_writes_overload_is_answered_at_once) {
  switched_store database;
  database.away = true;
  node_options how;
  how.open = database.open();
  how.slots.port.writes_most = how.slots.port.parked_most = 10;
  start(how);
  while (!node_->slot().port->serves(1)) std::this_thread::yield();
  for (uint64_t i = 1; i <= 30; ++i) client_->send(append(i, ann, ben, "k" + std::to_string(i)));
  const auto refused = client_->answers();  // the link is local: refusals have come back by now
  ASSERT_EQ(refused.size(), 20U);
  for (const auto& [call, reply] : refused) {
    EXPECT_GT(call, 10U);
    EXPECT_EQ(code_of(reply), errc::overload);
  }
  database.away = false;
  ASSERT_TRUE(client_->wait_for_all());
  for (uint64_t call = 1; call <= 10; ++call) EXPECT_EQ(client_->answer(call).appended().mid(), call);
}

TEST_F(storage_actors, a_session_node_that_refuses_an_account_gets_it_again_after_the_next_map) {
  start();
  high_->set_mood(fake_session::mood::refuses);
  for (uint64_t i = 1; i <= 10; ++i) client_->send(append(i, ann, ben, "k" + std::to_string(i)));
  ASSERT_TRUE(client_->wait_for_all());
  node_->publish(1, "storage-0", 2, "session-0");
  ASSERT_TRUE(low_->wait_for_entries(10));
  const auto got = low_->received();
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(got[i].message().mid(), i + 1);
}

TEST_F(storage_actors, more_than_the_window_holds_is_delivered_from_the_outbox_in_order) {
  node_options how;
  how.dispatch.entries_most = 100;
  start(how);
  high_->set_mood(fake_session::mood::silent);
  for (uint64_t i = 1; i <= 1000; ++i) client_->send(append(i, ann, ben, "k" + std::to_string(i)));
  ASSERT_TRUE(client_->wait_for_all());
  ASSERT_TRUE(high_->wait_for_entries(100));
  high_->set_mood(fake_session::mood::confirms);
  high_->break_now();
  ASSERT_TRUE(high_->wait_for_entries(1000));
  std::set<uint64_t> seen;
  for (const auto& one : high_->received()) {
    if (seen.insert(one.message().mid()).second) {
      EXPECT_EQ(seen.size(), one.message().mid());
    }
  }
  ASSERT_TRUE(node_->wait_until_drained());
}

TEST_F(storage_actors, nothing_is_lost_or_reordered_over_broken_links_and_epochs_of_shard_and_sessions) {
  start();
  std::mt19937_64 dice(20261122);
  low_->break_every(97);
  high_->break_every(61);
  const account_id people[] = {ann, {0x2222222222222222U}, ben, {0xDDDDDDDDDDDDDDDDU}};
  uint64_t epoch = 1;
  std::map<uint64_t, conversation_id> asked;
  size_t to_low = 0, to_high = 0;
  constexpr uint64_t messages = 3000;
  for (uint64_t call = 1; call <= messages; ++call) {
    const auto from = dice() % 4;
    const auto to = (from + 1 + dice() % 3) % 4;
    ++(to < 2 ? to_low : to_high);
    asked[call] = testing::talk_of(people[from], people[to]);
    client_->send(append(call, people[from], people[to], "k" + std::to_string(call)));
    if (call % 500 == 0) {
      node_->publish(++epoch, "storage-0", 1 + dice() % 3);
      client_->set_epoch(epoch);
    }
  }
  ASSERT_TRUE(client_->wait_for_all());
  std::map<conversation_id, std::set<uint64_t>> mids;
  for (const auto& [call, reply] : client_->answers()) {
    EXPECT_EQ(reply.code(), 0) << call;
    EXPECT_TRUE(mids[asked[call]].insert(reply.appended().mid()).second) << "a mid came twice";
  }
  for (const auto& [id, all] : mids) EXPECT_EQ(*all.rbegin(), all.size()) << "mids are not dense";
  EXPECT_TRUE(low_->wait_for_streams(4));
  EXPECT_TRUE(high_->wait_for_streams(4));
  low_->break_every(0);
  high_->break_every(0);
  ASSERT_TRUE(low_->wait_for_entries(to_low));
  ASSERT_TRUE(high_->wait_for_entries(to_high));
  ASSERT_TRUE(node_->wait_until_drained());
  std::map<uint64_t, std::map<conversation_id, std::vector<session::v1::Delivery>>> by_account;
  size_t distinct = 0;
  for (auto* node : {low_.get(), high_.get()}) {
    for (auto& one : node->received()) by_account[one.account()][from_proto(one.conversation())].push_back(one);
  }
  for (const auto& [account, talks] : by_account) {
    for (const auto& [id, all] : talks) {
      std::set<uint64_t> entries;
      uint64_t newest = 0;
      for (const auto& one : all) {
        if (!entries.insert(one.entry()).second) continue;
        EXPECT_GT(one.message().mid(), newest) << "first arrivals out of order";
        newest = one.message().mid();
      }
      distinct += entries.size();
    }
  }
  EXPECT_EQ(distinct, messages);
  link_.reset();
  node_->stop();
  EXPECT_EQ(node_->outbox_left(), 0U);
}

store_holder::open_function throwing(testing::commit_hook hook) {
  return [hook = std::move(hook)](const std::string& dsn) -> result<std::unique_ptr<store>> {
    auto real = open_store(dsn);
    if (!real) return real.error();
    return std::unique_ptr<store>(std::make_unique<testing::throwing_store>(std::move(*real), hook));
  };
}

TEST_F(storage_actors, an_exception_hurts_only_the_request_that_caused_it) {
  node_options how;
  how.open = throwing([](const write_batch& batch, bool after) {
    if (!after && testing::has_body(batch, "poison")) throw std::runtime_error("a mistake");
  });
  start(std::move(how));
  for (uint64_t call = 1; call <= 30; ++call) {
    client_->send(append(call, ann, ben, "k" + std::to_string(call), call == 10 ? "poison" : "fine"));
  }
  ASSERT_TRUE(client_->wait_for_all());
  uint64_t mid = 0;
  for (uint64_t call = 1; call <= 30; ++call) {
    const auto reply = client_->answer(call);
    EXPECT_EQ(code_of(reply), call == 10 ? errc::database : errc::ok) << call;
    if (call != 10) {
      EXPECT_EQ(reply.appended().mid(), ++mid);
    }
  }
  EXPECT_TRUE(high_->wait_for_entries(29));
  EXPECT_EQ(node_->metric("tern_storage_shard_restarts_total{shard=\"s0\"}"), 0);
}

/// What is no std::exception passes every net of the writer's own: its actor dies, before or after the commit.
TEST_F(storage_actors, a_writer_that_dies_is_replaced_and_what_it_was_asked_is_done_once_and_in_order) {
  for (const bool dies_after : {false, true}) {
    std::atomic<int> deaths{0};
    node_options how;
    how.open = throwing([&](const write_batch& batch, bool after) {
      if (after == dies_after && testing::has_body(batch, "deadly") && deaths.fetch_add(1) < 2) throw 42;
    });
    start(std::move(how));
    for (uint64_t call = 1; call <= 200; ++call) {
      client_->send(append(call, ann, ben, "k" + std::to_string(call), call == 50 ? "deadly" : "fine"));
    }
    ASSERT_TRUE(client_->wait_for_all());
    for (uint64_t call = 1; call <= 200; ++call) EXPECT_EQ(client_->answer(call).appended().mid(), call);
    EXPECT_GE(deaths, dies_after ? 1 : 3);
    EXPECT_GE(node_->metric("tern_storage_shard_restarts_total{shard=\"s0\"}"), 1);
    ASSERT_TRUE(high_->wait_for_entries(200));
    uint64_t mid = 0;
    for (const auto& entry : high_->received()) {
      if (entry.message().mid() > mid) {
        EXPECT_EQ(entry.message().mid(), ++mid);  // repeats are allowed, gaps are not
      }
    }
    EXPECT_EQ(mid, 200U);
    ASSERT_TRUE(node_->wait_until_drained());
    EXPECT_EQ(client_->ask(testing::read_all(1000, ben, ann)).page().rows_size(), 200);
    TearDown();
  }
}

}  // namespace
}  // namespace tern::storage
